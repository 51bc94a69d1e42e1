"""``mien`` and ``python -m mien``."""

from __future__ import annotations

from mien.signals import DISGUISES, handle_interrupts


def main() -> None:
    """Entry point of the ``mien`` command: Ctrl-C ends it in one line at any moment from here on."""
    interrupts = handle_interrupts()
    try:
        from mien.cli import main as run

        run(interrupts)
    except (KeyboardInterrupt, *DISGUISES):
        if not interrupts.received:
            raise
        _report_interrupt()
        raise SystemExit(interrupts.exit_code) from None
    finally:
        interrupts.end_at_once()


def _report_interrupt() -> None:
    import os
    import sys

    from mien.cli.error_output import INTERRUPTED, ErrorOutput, wants_json
    from mien.errors import MienError

    ErrorOutput(wants_json(sys.argv[1:], os.environ)).print(MienError("interrupted", code=INTERRUPTED))


if __name__ == "__main__":
    main()

"""The part of docs/video.md that follows from docs/results/tracking.json; tools/generate.py writes it there."""

from __future__ import annotations

from typing import Any

from markdown_tables import table

from mien.text import percent

MODES = ("every frame", "every frame, without looks", "every 3rd frame", "every 5th frame")
TOTALS = ("all", "all, some dropped")


def per_frame(results: dict[str, Any], every: int, carry: str) -> float:
    """Milliseconds per frame of detection and tracking."""
    ms = results["ms"]
    carried = ms[carry] * results["faces_a_frame"] * (1 - 1 / every)
    second = ms["second look"] if carry == "refine" else 0.0
    return (ms["search"] + second) / every + carried + ms["update"] + ms["cuts"]


def total(row: dict[str, Any], mode: str) -> list[str]:
    return [
        mode.replace("without looks", "without appearance").replace("second look", "second pass"),
        *(str(row[key]) for key in ("switches", "mergers", "fragments")),
        *(f"{100 * row[key]:.1f}" for key in ("recall", "precision", "idf1", "mota")),
        f"{row['iou']:.3f}",
    ]


def scene_cut_lines(cuts: dict[str, Any]) -> list[str]:
    """How well scene cuts are detected, as lines of Markdown."""
    rates = cuts["rates"]
    n = sum(row["n"] for rate in rates for kind, row in rate["cuts"].items() if kind != "fade")
    minutes = sum(rate["seconds"] for rate in rates) / 60
    kinds = list(rates[0]["cuts"])
    cameras = list(rates[0]["false"])
    lines = [
        "### Scene cuts",
        "",
        "`mien.tracking.scene_cuts.SceneCutDetector` compares thumbnails of 24 × 18 pixels. *Structure*: all blocks of the gray "
        "thumbnail are matched with the previous one under a single displacement, that of the camera, by correlation, which ignores "
        "changes of light; a quarter of the picture may be covered. *Colours*: the overlap of two histograms of chromaticity, which decides "
        "where structure is inconclusive. A cut must also match worse than the frames before it, so that fast motion is not a series of "
        "cuts, and differ from the last three frames, so that the end of a flash is not a cut. It takes "
        f"{rates[0]['ms_per_frame']:.2f} ms of processor time per frame at any size, and needs only NumPy.",
        "",
        f"Measured on {n} hard cuts in {minutes:.0f} minutes, `python benchmarks/scene_cuts.py --photos … --faces … --json "
        "docs/results/scene_cuts.json`, whose header describes how the films are made: a camera moves over photos of "
        f"{cuts['sources']} sources, and the film is encoded as H.264 or MJPEG. Thresholds were chosen on films of other sources. "
        "*Alike*: two photos from one source, mostly of one event; *two portraits*: two people who fill the same part of the "
        "picture, in one studio or cropped in the same way, which is harder than most real cuts.",
        "",
        *table(
            ["frames per second", *kinds, "all hard cuts"],
            [
                [
                    f"{rate['fps']:g}",
                    *(f"{rate['cuts'][kind]['found']} of {rate['cuts'][kind]['n']}" for kind in kinds),
                    percent(rate["recall"]),
                ]
                for rate in rates
            ],
        ),
        "False cuts by the motion of the camera (frames within fades and dissolves are not counted):",
        "",
        *table(
            ["frames per second", *cameras, "per minute", "without whip pans"],
            [
                [
                    f"{rate['fps']:g}",
                    *(f"{rate['false'][camera]['cuts']} in {rate['false'][camera]['frames']:,}" for camera in cameras),
                    f"{rate['false_per_minute']:.2f}",
                    f"{without_whip_pans(rate):.2f}",
                ]
                for rate in rates
            ],
        ),
        "A whip pan moves the picture by its whole width within a few frames; its start is usually detected as a cut, and new "
        "tracks start. Not detected: dissolves, cuts after which most of the picture is unchanged (the tracker then "
        "relies on position and appearance), and shots of up to two frames.",
        "",
    ]
    if cuts["generated"]:
        lines += [
            "In generated scenes without compression (people in front of drawn backgrounds with hard edges, half of them lit by a flash "
            "that may overexpose the picture), jerks in front of fine lines and such flashes are detected as cuts:",
            "",
        ]
    for one in cuts["generated"]:
        found = "; ".join(f"{kind} {row['found']} of {row['n']}" for kind, row in one["cuts"].items())
        false = "; ".join(f"{camera} {row['cuts']}" for camera, row in one["false"].items())
        frames = sum(row["frames"] for row in one["false"].values())
        lines += [
            f"- {one['fps']:g} frames per second: recall {percent(one['recall'])} ({found}), precision "
            f"{percent(one['precision'])}; false cuts in {frames:,} frames: {false}."
        ]
    return lines


def without_whip_pans(rate: dict[str, Any]) -> float:
    """False cuts per minute of the other frames."""
    rows = [row for camera, row in rate["false"].items() if camera != "whip pan"]
    return 60 * rate["fps"] * sum(row["cuts"] for row in rows) / sum(row["frames"] for row in rows)


def tracking_section(results: dict[str, Any], cuts: dict[str, Any]) -> str:
    """How faces are followed, as Markdown without the marks.

    Args:
        results: what `benchmarks/tracking.py --json` wrote.
        cuts: what `benchmarks/scene_cuts.py --json` wrote.
    """
    rows = {(row["scene"], row["mode"]): row for row in results["rows"]}
    scenes = list(dict.fromkeys(row["scene"] for row in results["rows"]))
    modes = list(dict.fromkeys(row["mode"] for row in results["rows"]))
    faces = sum(rows[scene, MODES[0]]["faces"] for scene in scenes if scene in TOTALS)
    lines = [
        "## How faces are followed",
        "",
        "`mien.tracking.tracker.Tracker` numbers every face immediately. Each pair of a track and a face is weighted by how much "
        "more likely the face belongs to that person than to a new one, given the position and size that the track predicts (a Kalman "
        "filter in seconds, so the frame rate does not matter) and its appearance, a small grid of colours of head and chest. The "
        "assignment of a frame maximises the sum of this evidence. A track without a face waits for three seconds (`max_gap`); after "
        "that, and after a scene cut, the same person gets a new track. Appearance distinguishes people within one scene; it is not face "
        "recognition, and it is discarded when the track ends.",
        "",
        f"Measured on {results['videos']} generated videos of {results['frames']:,} frames at 640×480 with "
        f"{faces:,} visible faces, "
        "`python benchmarks/tracking.py --json docs/results/tracking.json`. The people are made of two public-domain portraits "
        "(mirrored, stretched, recoloured, with other clothes) and do not turn their heads, so this shows whether track numbers "
        "survive crossings, gaps and camera motion, not how well difficult faces are found. Parameters were chosen on other "
        "variants of the same scenes.",
        "",
        "- *Switches*: a person gets another number than before; *mergers*: a number moves to another person; *gaps*: a person is "
        "missed and found again.",
        "- A face counts if at least half of it is visible, and as found if a box overlaps it by half (intersection "
        "over union). *Recall* is the share of faces found, *precision* the share of boxes that are on a face.",
        "- *IDF1*: harmonic mean of the shares of faces and of boxes with the right number, where each person has the "
        "number that fits best over the whole video. *MOTA*: 1 − (missed + false boxes + switches) / faces.",
        "",
    ]
    cells = []
    for scene in scenes:
        if scene in TOTALS:
            continue
        mine = [rows[scene, mode] for mode in MODES]
        cells.append(
            [scene, f"{mine[0]['faces']:,}"]
            + [f"{row['switches']} + {row['mergers']}" for row in mine]
            + [f"{100 * row['idf1']:.1f}" for row in mine]
        )
    lines += [
        "Switches + mergers, then IDF1 in percent, for detection in every frame, in every frame without appearance (*position only*), in every "
        "3rd and in every 5th frame:",
        "",
        *table(
            ["scene", "faces", *("every", "position only", "3rd", "5th"), *("every", "position only", "3rd", "5th")],
            cells,
        ),
        "In *cuts* the ground truth gives every person a new number after each cut; in *away for 3 s* the absence is about as long as a "
        "track waits.",
        "",
        "All scenes in which no detection is dropped. On frames with detection `BoxPropagator.recover_missed` detects again "
        "where a track predicts a face and the detector found none, as `Analyzer` does, except in *no second pass*; *flow* is how "
        "boxes are propagated for detectors without `refine`, without a second pass:",
        "",
    ]
    header = ["detection in", "switches", "mergers", "gaps", "recall", "precision", "IDF1", "MOTA", "mean overlap"]
    lines += table(header, [total(rows["all", mode], mode) for mode in modes])
    lines += [
        "The two scenes in which detections are dropped at random (dropped detections count as missed):",
        "",
        *table(header, [total(rows["all, some dropped", mode], mode) for mode in modes]),
    ]
    lines += [
        "### What propagation saves and costs",
        "",
        "Between detections, a detector with `refine` (Mien's own, MTCNN) runs only where the tracks predict their faces: small "
        "crops give new boxes, scores and landmarks, so nothing drifts. For other detectors box and landmarks follow the "
        "optical flow. The figures are those of the default detector.",
        "",
        f"Processor time of one thread, mean over these videos ({results['faces_a_frame']:.1f} faces per frame): one "
        f"detection {results['ms']['search']:.1f} ms and its second pass {results['ms']['second look']:.2f} ms; one face propagated "
        f"{results['ms']['refine']:.2f} ms by crops, {results['ms']['flow']:.2f} ms by flow; tracking {results['ms']['update']:.2f} ms and "
        f"scene cuts {results['ms']['cuts']:.2f} ms per frame. Together, without classifying:",
        "",
        *table(
            ["detection in", "propagated by", "ms per frame"],
            [
                ["every frame", "–", f"{per_frame(results, 1, 'refine'):.1f}"],
                *(
                    [f"every {n} frame", how, f"{per_frame(results, int(n[0]), carry):.1f}"]
                    for n in ("3rd", "5th")
                    for how, carry in (("crops", "refine"), ("flow", "flow"))
                ),
            ],
        ),
        "How much the emotions of one face change when it is propagated instead of detected (total variation distance of the "
        "distributions, 0–1, mean; and how often the most probable emotion changes), compared with the difference between two "
        "neighbouring frames with detection:",
        "",
        *table(
            ["", "faces", "distance", "other emotion"],
            [
                [
                    name.replace("both searched", "both detected"),
                    f"{row['faces']:,}",
                    f"{row['distance']:.3f}",
                    percent(row["other_label"]),
                ]
                for name, row in results["drift"].items()
            ],
        ),
        *scene_cut_lines(cuts),
    ]
    crowd = "; ".join(f"{row['ms']:.2f} ms with {row['faces']}" for row in results["crowds"])
    long = results["crowds"][0]
    lines += [
        "",
        "### Many faces, long videos",
        "",
        f"One update takes {crowd} faces. Only live tracks are remembered, so it does not grow: over {long['updates']:,} updates "
        f"the fastest tenth takes at most {long['ms_first']:.2f} ms at the start and {long['ms_last']:.2f} ms at the end.",
        "",
        "### Limits",
        "",
        "- Two people who look the same and swap places while hidden are confused; nothing in the pictures distinguishes them.",
        "- A face that turns away for longer than `max_gap`, or comes back in different light, becomes a new track.",
        "- Half a face next to a person in front gets its own box and may start a track, which can then continue as "
        "that person's.",
        "- At few frames per second, or when detection is rare, faces move by more than their size between detections, and crossings "
        "are resolved only by appearance.",
    ]
    return "\n".join(lines) + "\n"

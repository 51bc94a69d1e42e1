# make demo [PHOTO=file]   analyse a public-domain portrait, or your photo
# make test                set everything up, check style, types and arrows, run the tests
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
PHOTO ?=
OUT ?= out/demo.png
PIP = -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint types arrows unit bench clean

demo: $(DEMO_VENV)/.done
	$(DEMO_VENV)/bin/mien demo --out "$(OUT)" $(if $(PHOTO),--photo "$(PHOTO)")

test: check unit

check: lint types arrows

lint: $(VENV)/.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.done
	$(VENV)/bin/mypy

arrows: $(VENV)/.done
	$(VENV)/bin/lint-imports

# a process a core (at most four), each with one thread: more would only wait for one another
unit: $(VENV)/.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadscope

bench: $(VENV)/.done
	$(VENV)/bin/python benchmarks/speed.py --json out/speed.json

# the portrait's package is used for one picture and never imported, so its own dependencies stay out
$(DEMO_VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(PIP) -c constraints.txt .
	$(DEMO_VENV)/bin/python $(PIP) -c constraints.txt --no-deps scikit-image
	touch $@

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) -c constraints.txt -e '.[all,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) out build dist

# make demo [PHOTO=file]   analyse a public-domain portrait, or your photo
# make test                set everything up, check style, types and arrows, run the tests
# make browser             the tests of the page, where Chromium is (MIEN_CHROMIUM)
# make coverage            the tests of `make test`, and how much of the code they run
# make site                build the docs as a site in out/site, warnings are errors
# make release-check       build, install into fresh environments, test there (WHEELS=folder of a processor-only torch,
#                          ONLY=names of environments)
# make networks-page       measure again what follows from new weights, write the pages (FER2013, FAIRFACE, PHOTOS: files)
# make gpu                 what tools/gpu.py plans for a GPU (STEPS), for MINUTES, results into RESULTS; DRY=--dry-run
#                          prints it
# make serve-load, make serve-mix, make serve-attacks
#                          measure the service on a machine that does nothing else, and write the tables of docs/serve.md
# make lock                write the locks with hashes (requirements/) from pyproject.toml and constraints.txt
# make licences            list the licences of what is installed, write an SBOM
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
TOOLS_VENV ?= .venv-tools
WHEELS ?=
ONLY ?=
PHOTO ?=
OUT ?= out/demo.png
MINUTES ?= 9
RESULTS ?= out/gpu
DRY ?=
STEPS ?=
FER2013 ?= fer2013.parquet
FAIRFACE ?= fairface.parquet
PHOTOS ?= fairface/validation.parquet
PIP = -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint types arrows unit coverage browser bench networks-page gpu serve-load serve-mix \
	serve-attacks site release-check lock licences clean

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

# a process a core (at most four), each with one thread: more would only wait for one another. Bytecode is kept, for the
# hundreds of processes that tests start; the order is that of tests/conftest.py, the longest modules first
TESTS = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 \
	--dist loadscope --no-loadscope-reorder -m "not browser"

unit: $(VENV)/.done
	$(TESTS)

coverage: $(VENV)/.done
	$(TESTS) --cov --cov-report term:skip-covered --cov-report xml:out/coverage.xml

# alone: beside the other tests on two cores, Chromium and what drives it can stop one another for minutes
browser: $(VENV)/.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m browser

serve-load: $(VENV)/.done
	$(VENV)/bin/python benchmarks/serve_load.py --part load --json docs/results/serve.json
	$(VENV)/bin/python tools/generate.py

serve-mix: $(VENV)/.done
	$(VENV)/bin/python benchmarks/serve_mix.py --json docs/results/serve_mix.json
	$(VENV)/bin/python tools/generate.py

serve-attacks: $(VENV)/.done
	$(VENV)/bin/python benchmarks/serve_attacks.py --pictures 500 --json docs/results/serve_attacks.json
	$(VENV)/bin/python tools/generate.py

bench: $(VENV)/.done
	$(VENV)/bin/python benchmarks/speed.py --json out/speed.json

networks-page: $(VENV)/.done
	$(VENV)/bin/python benchmarks/refresh.py --fer2013 "$(FER2013)" --fairface "$(FAIRFACE)" --photos "$(PHOTOS)"

# with the python that has torch for the GPU: `make gpu PYTHON=python3`
gpu:
	$(PYTHON) tools/gpu.py run --minutes $(MINUTES) --results "$(RESULTS)" $(if $(STEPS),--steps $(STEPS)) $(DRY)

site: $(TOOLS_VENV)/.done $(DEMO_VENV)/.done
	NO_MKDOCS_2_WARNING=1 $(TOOLS_VENV)/bin/mkdocs build --strict --quiet
	$(DEMO_VENV)/bin/mien web out/site/try

release-check: $(TOOLS_VENV)/.done
	PATH="$(abspath $(TOOLS_VENV))/bin:$$PATH" $(TOOLS_VENV)/bin/python tools/release_check.py \
		$(if $(WHEELS),--wheels "$(WHEELS)") $(if $(ONLY),--only $(ONLY)) --json docs/results/release.json

lock: $(TOOLS_VENV)/.done
	PATH="$(abspath $(TOOLS_VENV))/bin:$$PATH" $(TOOLS_VENV)/bin/python tools/lock.py

licences: $(VENV)/.done $(TOOLS_VENV)/.done
	$(TOOLS_VENV)/bin/python tools/licences.py --python $(VENV)/bin/python --json docs/results/licences.json \
		--sbom out/mien.cdx.json
	$(VENV)/bin/python tools/generate.py

# every file that pip fetches must have a hash of the lock
LOCKED = $(PIP) --require-hashes --no-deps -r

$(DEMO_VENV)/.done: pyproject.toml requirements/core.lock
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(LOCKED) requirements/core.lock
	$(DEMO_VENV)/bin/python $(PIP) --no-deps --no-build-isolation .
	touch $@

# torch has a build per accelerator, so its version is pinned and its hash is not
$(VENV)/.done: pyproject.toml constraints.txt requirements/dev.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(LOCKED) requirements/dev.lock
	$(VENV)/bin/python $(PIP) -c constraints.txt torch
	$(VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	$(VENV)/bin/python -m pip --disable-pip-version-check check
	touch $@

# what builds, lists and documents needs nothing of mien's own dependencies
$(TOOLS_VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python $(PIP) -c constraints.txt mkdocs-material mkdocstrings-python ruff build uv cyclonedx-bom \
		pip-licenses
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) $(TOOLS_VENV) out build dist

# Learning Features by Gradient Descent. `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# cells are 78 characters wide, as the page shows them; they read better without strict=
CELLS := --line-length 78 _build/lint/*.ipynb
PYTEST := OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/python -m pytest

.PHONY: help book course check test notebooks serve export lab pdf dist release large links scorecard robust bench lint current clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

# torch first and pinned: asked for later, by a looser range, it may come as a far larger build
.venv/.ready: requirements.txt requirements-cluster.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python >= 3.11 is needed; $(PYTHON) was not found (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; $(PYTHON) is `$(PYTHON) -V 2>&1 | cut -d" " -f2` (set PYTHON=...)"; exit 1; }
	@echo "setting up .venv, once" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-cluster.txt
	@touch $@

book: .venv/.ready  ## build the book into _build/html (runs only chapters whose results are stale)
	@$(BIN)/python book/_ext/notebooks.py $(if $(DRAFT),--draft)
	@echo "building the pages"
	@$(if $(DRAFT),BOOK_DRAFT=1) $(BIN)/jupyter-book build $(if $(DRAFT),,--warningiserror) --nitpick --keep-going --quiet .
	@echo "The book: _build/html/index.html"

export: book  ## the chapters as notebooks without markup, in _build/notebooks (and notebooks.zip)
	@cd _build && ../$(BIN)/python -m zipfile -c notebooks.zip notebooks
	@echo "The notebooks: _build/notebooks, in one file _build/notebooks.zip"

# jupyterlab-myst shows nothing where JupyterLab draws only the cells in view; no news from outside
LAB := .venv/share/jupyter/lab/settings
.venv/.lab-ready: .venv/.ready requirements-lab.txt
	@echo "adding JupyterLab to .venv, once" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-lab.txt
	@mkdir -p $(LAB)
	@echo '{"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}, "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' > $(LAB)/overrides.json
	@touch $@

lab: .venv/.lab-ready  ## open the chapters in JupyterLab, which shows their text as the pages do
	@$(BIN)/jupyter lab --notebook-dir=book

check: .venv/.ready lint  ## lint, unit tests, structure, and that results are current: within a minute
	@$(PYTEST) -n 2 --dist loadfile -q -m "not slow and not built" tests/lib tests/book tests/course

# four workers on two cores: some wait for a kernel or a browser; what takes long comes first
LONG := $(addprefix tests/,course/test_exercises.py book/test_pages.py science/test_exact_curves.py lib/test_stale.py book/test_results.py lib/test_sweep.py)
TESTS := $(LONG) $(filter-out $(LONG),$(wildcard tests/*/test_*.py))
test: .venv/.ready  ## run every test, and each notebook from scratch, once
	@$(MAKE) --no-print-directory -j2 lint current book
	@$(BIN)/python book/_ext/course.py slides
	@rm -rf _build/nbval-cache
	@TWOLAYER_CACHE=$(CURDIR)/_build/nbval-cache $(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder -p tests.notebooks \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
		$$($(BIN)/python book/_ext/chapters.py --twins) $(TESTS)

current: .venv/.ready
	@$(BIN)/python book/_ext/chapters.py --stale

notebooks: .venv/.ready  ## execute what is stale and write the executed notebooks beside their sources
	@$(BIN)/python book/_ext/notebooks.py --write

serve: book  ## build, then serve the book at http://localhost:8000
	$(BIN)/python -m http.server --directory _build/html --bind localhost 8000

pdf: book  ## print the book and each of its parts, into _build/pdf (needs Chromium)
	@$(BIN)/python book/_ext/pdf.py

course: book  ## assignments, slides and handouts, into _build/course (PDF need Chromium)
	@$(BIN)/python book/_ext/course.py

dist: .venv/.ready  ## the library as a wheel and as a source archive, into _build/dist
	@mkdir -p _build && rm -rf _build/dist && $(BIN)/python -m build --no-isolation --outdir _build/dist . > _build/dist.log 2>&1 || { cat _build/dist.log; exit 1; }

release: pdf export course dist  ## what a release attaches, into _build/release: PDF, offline site, notebooks, course, library
	@rm -rf _build/release && mkdir _build/release && cp _build/pdf/*.pdf _build/notebooks.zip _build/dist/* _build/release
	@cd _build && ../$(BIN)/python -m zipfile -c release/offline-site.zip html
	@cd _build/course && ../../$(BIN)/python -m zipfile -c ../release/course.zip assignments slides slides_pdf handouts

scorecard: .venv/.ready  ## print every claim of the executed notebooks; fails where one does not hold
	@$(BIN)/python book/_ext/scorecard.py

robust: .venv/.ready  ## every claim under 20 fresh roots (hours; goes on where it was stopped)
	@$(BIN)/python book/_ext/robust.py $(if $(ROOTS),--roots $(ROOTS))

bench: .venv/.ready  ## speed against other ways, one table; names what is slower (STORE=1 keeps the table)
	@OMP_NUM_THREADS=1 PYTHONPATH=lib $(BIN)/python benchmarks/run.py $(if $(STORE),--store)

large: .venv/.ready  ## run the pages at the papers' sizes that have no stored table yet: hours; it goes on when killed
	@$(BIN)/python book/_ext/large.py

links: .venv/.ready  ## check the external links; needs the network
	@$(BIN)/jupyter-book build --builder linkcheck --quiet .

lint: .venv/.ready  ## check style: library, tests, and the chapters' cells
	@$(BIN)/ruff check --quiet lib tests benchmarks book/_ext course/cases.py .github
	@$(BIN)/ruff format --quiet --check lib tests benchmarks book/_ext course/cases.py .github
	@rm -rf _build/lint
	@$(BIN)/jupytext --quiet --to ../../_build/lint//ipynb $$($(BIN)/python book/_ext/chapters.py)
	@$(BIN)/ruff check --quiet --ignore B905,SIM300 $(CELLS)
	@$(BIN)/ruff format --quiet --check $(CELLS)

clean:  ## remove what was built and cached; .venv stays
	rm -rf _build build .pytest_cache .ruff_cache .hypothesis

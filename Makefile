# Learning Features by Gradient Descent. `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
CHAPTERS := $(shell grep -ls 'formats: ipynb,md:myst' book/*/*.md)
# cells read better without strict=, and an expression or an import may stand anywhere
CELLS := $(BIN)/ruff check --ignore B905,SIM300,B018,E402,E501 --stdin-filename cell.py -

.PHONY: help book test notebooks serve scorecard bench lint clean

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

book: .venv/.ready  ## build the book into _build/html (runs only chapters that changed)
	$(BIN)/python book/_ext/notebooks.py
	$(BIN)/jupyter-book build --warningiserror --nitpick --keep-going --quiet .
	@echo "The book: _build/html/index.html"

test: book  ## run every test: library, science, pages, and each notebook from scratch
	$(BIN)/pytest -n 2 --dist loadfile tests
	rm -rf _build/nbval-cache
	TWOLAYER_CACHE=$(CURDIR)/_build/nbval-cache TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -n 2 --dist loadfile $(CHAPTERS:.md=.ipynb)

notebooks: .venv/.ready  ## execute what changed and write the executed notebooks beside their sources
	$(BIN)/python book/_ext/notebooks.py --write

serve: book  ## build, then serve the book at http://localhost:8000
	$(BIN)/python -m http.server --directory _build/html --bind localhost 8000

scorecard: .venv/.ready  ## print every claim of the executed notebooks; fails where one does not hold
	@$(BIN)/python -m twolayer.claims book

bench: .venv/.ready  ## measure speed against straightforward code, as ratios in one run
	@for script in benchmarks/*.py; do OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

lint: .venv/.ready  ## check style: library, tests, and the chapters' cells
	$(BIN)/ruff check lib tests benchmarks book/_ext
	$(BIN)/ruff format --check lib tests benchmarks book/_ext
	@for chapter in $(CHAPTERS); do $(BIN)/jupytext --quiet --pipe-fmt py:percent --check '$(CELLS)' $$chapter || exit 1; done

clean:  ## remove what was built and cached; .venv stays
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

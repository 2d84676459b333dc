# Everything that one needs to begin with is Python 3.11, 3.12 or 3.13 and make:
#   make app      set up and open the app on http://127.0.0.1:7860    (ARGS="--port 8000" is handed to app.py)
#   make test     set up, a browser included, and run the tests       (ARGS="-k deploy" is handed to pytest)
# Works with GNU make 3.81 (macOS) and later, and with make -j.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
# An allocator that keeps its pages trains faster on a CPU; it is used where it is installed (JEMALLOC= for no).
JEMALLOC ?= $(firstword $(wildcard /usr/lib/*/libjemalloc.so.2 /usr/lib64/libjemalloc.so.2 /usr/lib/libjemalloc.so.2))
KEEPING_PAGES = LD_PRELOAD=$(JEMALLOC) MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1
FAST = not slow and not browser and not exhaustive and not network and not gpu
# How many tests run at a time; many of them wait, so three keep two cores busy. WORKERS=0 runs them one after another in
# one process, where a debugger can be used.
WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

.PHONY: help app test exhaustive check lint scripts bench screenshots install install-dev browser clean

help:
	@echo "Each sets up first what it needs."
	@echo "make app          open the app"
	@echo "make check        format, lint, types and the fast tests: about 6 minutes"
	@echo "make test         every test, in a browser too, of the exhaustive ones a tenth: 15 to 25 minutes"
	@echo "make exhaustive   all of the exhaustive ones"
	@echo "make lint         format, lint and types, the page's JavaScript included (make scripts: that alone)"
	@echo "make bench        the benchmarks"
	@echo "make screenshots  the pictures in the documentation"
	@echo "make clean        remove the virtual environment"

app: install
	@echo "Opening the app; stop it with Ctrl-C."
	@$(if $(JEMALLOC),$(KEEPING_PAGES) )$(BIN)/python app.py $(ARGS)

test: browser
	@$(PYTEST) $(ARGS)

exhaustive: browser
	@$(PYTEST) -m exhaustive --exhaustive $(ARGS)

check: lint
	$(PYTEST) -q -m "$(FAST)" $(ARGS)

lint: install-dev scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# What checks them is installed once, into node_modules; without npm or a network the rest is checked all the same.
scripts:
	@if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! npm --version >/dev/null 2>&1; then \
	  echo "The page's scripts are not checked: Node.js 20 or later with npm is needed (https://nodejs.org)."; \
	elif [ -z "$$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ] && \
	  ! npm ci --silent --no-audit --no-fund --fetch-retries=1; then \
	  echo "The page's scripts are not checked: npm could not install what checks them."; \
	else npm run --silent check && echo "The page's scripts are fine."; fi

bench: install-dev
	@set -e; for file in benchmarks/[a-z]*.py; do \
	  [ -e "$$file" ] || continue; echo "== $$file"; PYTHONPATH=. $(BIN)/python "$$file" $(ARGS); \
	done

screenshots: browser
	@PYTHONPATH=. $(BIN)/python tests/browser/screenshots.py $(ARGS)

clean:
	rm -rf $(VENV)

# Each stamp is newer than the requirements that it stands for, so a second call installs nothing.
install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

browser: install-dev
	@$(BIN)/python tests/browser/install.py

$(VENV)/.installed: requirements.txt | $(VENV)/.made
	@echo "Installing what the app needs: up to 5 GB (most of it is PyTorch), some minutes the first time ..."
	$(call install,requirements.txt)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need ..."
	$(call install,requirements-dev.txt)
	@touch $@

# One that somebody made by hand is used as it is.
$(VENV)/.made:
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	$(find_python); \
	echo "Making a virtual environment in $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV)
	@touch $@

# pip works quietly in the background while the seconds are told, so that nobody thinks it hangs.
define install
@$(PIP) install -r $(1) & pip=$$!; trap 'kill $$pip 2>/dev/null; exit 130' INT TERM; seconds=0; \
while kill -0 $$pip 2>/dev/null; do \
  sleep 1; seconds=$$((seconds + 1)); \
  if [ $$((seconds % 15)) -eq 0 ]; then echo "  still at it after $$seconds s"; fi; \
done; \
wait $$pip || { echo "The installation failed; pip says why above. Correct it and call make again."; exit 1; }
@$(PIP) check
endef

# The first Python that is new enough and complete goes to $found; on a Debian without venv, root gets it installed.
define find_python
found=; \
for candidate in $(PYTHON) python3.13 python3.12 python3.11 python; do \
  if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
    found=$$candidate; break; \
  fi; \
done; \
if [ -z "$$found" ]; then \
  echo "Python 3.11, 3.12 or 3.13 is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)."; \
  echo "Install one (https://www.python.org/downloads), or name it: make PYTHON=/path/to/python3.12 ..."; exit 1; \
fi; \
if ! $$found -c 'import ensurepip, venv' 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo "Installing python3-venv (apt-get) ..."; \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
fi; \
if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
  echo "This Python cannot make virtual environments: its venv part is missing."; \
  echo "On Debian or Ubuntu: sudo apt-get install python3-venv. Elsewhere install Python from https://www.python.org."; \
  exit 1; \
fi
endef

# Everything starts here; each target sets up what it needs (see .ci/setup) and does it once.

.PHONY: help setup demo extension test test-quick test-newest test-elsewhere coverage mutants lint bench yardstick soak alerts fuzz docs pictures reference lock deb bare bare-desk clean

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup:           ## system packages and .venv, for development
	@.ci/setup test
	@.ci/setup lint
	@.ci/node_programs || [ $$? = 3 ]

demo:            ## a virtual carte Vitale behind a real pcscd, the daemon, a client: tokens
	@.ci/setup run
	@.venv/bin/vitale-reader demo

# Six at a time on two cores, for most tests wait for a process or a device; who has none left takes from another. The
# files are begun in the order of tests/conftest.py, the long ones first.
WORKERS = 6
AT_A_TIME = -n $(WORKERS) --dist worksteal
# What failed is played once more, by itself. A test that passes then is unsteady: it is listed, and is a fault to mend.
AGAIN = { [ $$? = 1 ] && echo "Once more, one at a time: what passes now is unsteady." && \
    .venv/bin/python -m pytest --last-failed --last-failed-no-failures none --maxfail 3 -rA --no-header -q; }

# Programs are started hundreds of times, and each process loads every test: byte code is kept, whatever images of
# containers say.
test test-quick test-newest test-elsewhere coverage soak: export PYTHONDONTWRITEBYTECODE =

test:            ## the whole suite
	@.ci/setup test
	@.venv/bin/python -m pytest $(AT_A_TIME) || $(AGAIN)

# Rooms that need no process, device or database.
QUICK = tests/protocol tests/resolvers tests/daemon/arbitration tests/daemon/keystore

test-quick:      ## what needs no process, device or database: under a minute
	@.ci/setup test
	@.venv/bin/python -m pytest $(AT_A_TIME) --hypothesis-profile quick $(QUICK)

test-newest:     ## the suite with the newest that setup.cfg allows, in .venv-newest
	@.ci/setup newest
	@.venv-newest/bin/python -m pytest $(AT_A_TIME)

# Rooms whose tests every system plays, but for those that need its own libraries.
EVERYWHERE = $(addprefix tests/, cli client daemon diagnosis drivers firmware_sim metrics protocol resolvers service web)
# A folder whose name has a backslash, as all paths of Windows have.
BACKSLASH = $(or $(TMPDIR),/tmp)/test-elsewhere-$(shell id -u)\Users

test-elsewhere:  ## what every system plays, under stand-ins for Windows and macOS
	@.ci/setup test
	@for system in win32 darwin; do \
	    VITALE_STAND_IN=$$system VITALE_STAND_IN_TESTS=yes PYTHONPATH=tests/platforms/stand_in \
	    .venv/bin/python -m pytest $(AT_A_TIME) --basetemp='$(BACKSLASH)' \
	    -m "not pcscd and not posix and not soak" $(EVERYWHERE) || exit 1; \
	done

# Where each process leaves what it measured. One that is confined keeps nothing but what it writes below /dev: the folder
# of its temporary files goes with it. The floors are told of a suite with a fault, too: an hour is not lost by one test.
coverage: export COVERAGE_FILE := $(or $(wildcard /dev/shm),$(TMPDIR),/tmp)/vitale-coverage-$(shell id -u)/data

coverage:        ## the suite, what it did not reach, and the floor of each package
	@.ci/setup test
	@rm -rf $(dir $(COVERAGE_FILE)) && mkdir -m 700 $(dir $(COVERAGE_FILE))
	@.venv/bin/coverage run -m pytest $(AT_A_TIME) || $(AGAIN); suite=$$?; set -e; \
	    .venv/bin/coverage combine --quiet; \
	    .venv/bin/coverage report; \
	    .venv/bin/coverage json --quiet -o .coverage-floor.json; \
	    rm -rf $(dir $(COVERAGE_FILE)); \
	    .venv/bin/python .ci/coverage_floor.py .coverage-floor.json; \
	    exit $$suite

# Modules to change, how many mutants of each, and what chooses them.
FILES = protocol/vitale_protocol/tlv.py
COUNT = 40
SEED = 1

mutants:         ## FILES="…" COUNT=40 SEED=1: small faults put in, one by one; which of them no test notices
	@.ci/setup test
	@.venv/bin/python -m tests.mutants --seed $(SEED) --count $(COUNT) $(FILES)

# Types differ by platform. Each has a cache of its own, so that one run does not undo the work of another.
PLATFORMS = linux win32 darwin
PYRIGHT_linux = Linux
PYRIGHT_win32 = Windows
PYRIGHT_darwin = Darwin
TYPES = $(PLATFORMS:%=mypy-%) $(PLATFORMS:%=pyright-%) lint-page
# Two at a time, on any machine; what each says in one piece, where make can.
IN_PIECES = $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

lint:            ## style, types on each platform, import contracts
	@.ci/setup lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(IN_PIECES) $(TYPES)
	.venv/bin/lint-imports

.PHONY: $(TYPES)

$(PLATFORMS:%=mypy-%): mypy-%:
	.venv/bin/mypy --platform $* --cache-dir .mypy_cache/$*

$(PLATFORMS:%=pyright-%): pyright-%:
	.venv/bin/pyright --pythonpath .venv/bin/python --pythonplatform $(PYRIGHT_$*)

lint-page:
	.ci/lint_page

# Photographs to compare decoders on, and an interpreter with OpenCV's WeChat detector: left out where they are not.
PHOTOS = ../shared/data/qr-photos
WECHAT = .venv-wechat/bin/python

bench:           ## the promises of the architecture, measured; floods; decoders of codes beside ours
	@.ci/setup test
	@.venv/bin/python -m tests.postgres_server --store .venv/bin/python -m tests.benchmarks
	@.venv/bin/python -m tests.benchmarks --floods 100
	@.venv/bin/python -m tests.benchmarks --web 100
	@.venv/bin/python -m tests.benchmarks --desks
	@test -x $(WECHAT) || .ci/wechat || echo "bench: without the WeChat detector" >&2
	@.venv/bin/python -m tests.benchmarks --codes 2 $(addprefix --photos ,$(wildcard $(PHOTOS))) \
	    $$(test -x $(WECHAT) && echo "--wechat $(WECHAT)")

yardstick:       ## instructions of fixed work, beside those of the last release
	@.ci/setup bench
	@.venv/bin/python -m tests.benchmarks.yardstick

soak:            ## the slow faults: kill -9 under load, long runs, properties with values never tried before
	@.ci/setup test
	@.venv/bin/python -m pytest -m soak
	@.venv/bin/python -m pytest $(AT_A_TIME) --hypothesis-profile search $(QUICK)

alerts:          ## each alert by a real fault, seen by a real Prometheus (Debian's package prometheus)
	@.ci/setup test
	@.venv/bin/python -m tests.alerts

# One target alone, those at a time, whether what is found joins the kept corpora (`make fuzz KEEP=yes`), and whether
# each has only what is left of its time (`make fuzz CONTINUE=yes`).
TARGET =
FUZZ_SECONDS = 600
JOBS = 1
KEEP =
CONTINUE =

fuzz:            ## TARGET= FUZZ_SECONDS=600 JOBS=1 KEEP= CONTINUE=: what strangers feed, by a fuzzer that coverage guides
	@.ci/setup fuzz
	@.venv/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --jobs $(JOBS) $(if $(KEEP),--keep) \
	    $(if $(CONTINUE),--continue) $(TARGET)

docs:            ## the site, into docs/_build; a warning is an error
	@.ci/setup docs
	@.venv/bin/python -m docs.generator --check
	@.venv/bin/sphinx-build -q -W --keep-going -n -b html docs docs/_build/html
	@echo docs/_build/html/index.html

pictures:        ## the pictures of the example's page and of the dashboard, made by their tests in Chromium
	@.ci/setup test
	@VITALE_PICTURES=write .venv/bin/python -m pytest -q "tests/examples/test_pharmacie_web.py" -k "chromium"
	@VITALE_READER_PICTURES=docs/pictures .venv/bin/python -m pytest -q \
	    "tests/daemon/web/test_dashboard_in_browsers.py" -k "chromium"

reference:       ## writes what is made from the code: docs/reference/, the map of the rooms, the schema
	@.ci/setup docs
	@.venv/bin/python -m docs.generator

extension:       ## the extension for browsers, into dist/: an archive for Chromium and its kin, one for Firefox
	@.ci/setup run
	@.venv/bin/python -m vitale_reader.web.extension.packing dist

lock:            ## chooses the versions in .ci/locks/ again, from setup.cfg
	@.ci/lock

bare:            ## `make demo` and `make test` on bare Debian machines made for it; as root, some 20 minutes
	@.ci/bare

deb:             ## the Debian package of this commit, for the Debian that it runs on, into dist/
	@.ci/deb

bare-desk:       ## that package on bare Debian machines that boot: installed, upgraded, purged; as root, some 20 minutes
	@.ci/bare-desk

clean:           ## everything that can be made again
	rm -rf .venv .venv-newest .venv-wechat build dist *.egg-info docs/_build .coverage* htmlcov \
	    .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .ci/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

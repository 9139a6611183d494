# Every command sets up its own .venv first (tools/venv.sh): all it needs is Python 3.11 or newer, make and a network.
# ARGS goes to the program, as in: make test ARGS="-k slice"
PY := .venv/bin/python
ARGS ?=

# A PYTHONPATH meant for another environment would reach into this one.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' Makefile

venv: ## set up .venv from requirements.txt (the other commands do it themselves)
	@sh tools/venv.sh

demo: venv ## train HDRNet on a few photos for minutes, then enhance photos it never saw
	$(PY) -m experiments.demo $(ARGS)

test: venv ## run the tests on eight simulated CPU devices
	$(PY) -m pytest -n 2 --dist worksteal --max-worker-restart 0 $(ARGS)

lint: venv ## check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

bench: venv ## time the operations and their peers on this machine, half an hour
	$(PY) -m benchmarks $(ARGS)

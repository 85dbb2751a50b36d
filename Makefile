# make demo   the main job on real data, from nothing: .venv, dependencies, one table at the end
# make test   the same environment with the test tools, then every check and every test
# make docs   the documentation as a site, in out/docs
# make coverage   every test again, traced in all of its processes, and which lines none of them reaches
# make lock   the lock files anew, after a change of the dependencies
PYTHON ?= python3
export PYTHON

BIN := .venv/bin
DEMO_OUT ?= out
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock" -p 3.11 --extra build $(LOCK_ARGS) pyproject.toml

# Hundreds of processes import edgepack: each would compile it anew where the environment forbids byte code.
test coverage: export PYTHONDONTWRITEBYTECODE =

PYTEST = -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test coverage check unit docs lock venv venv-test clean

demo: venv
	$(BIN)/edgepack run examples/digits/recipe.yaml --out $(DEMO_OUT)

test: venv-test check
	$(BIN)/pytest $(PYTEST) $(PYTEST_ARGS)

coverage: venv-test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST) $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: venv-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv-test
	$(BIN)/pytest tests/unit

docs: venv-test
	$(BIN)/python docs/site/build.py out/docs

venv:
	@scripts/venv requirements.lock

venv-test:
	@scripts/venv requirements-test.lock

# The lock files carry hashes and no index address, so that any mirror can serve them. What they hold stays as long as it
# fits; `make lock LOCK_ARGS=--upgrade` takes the newest of everything.
lock: venv-test
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra test -c requirements.lock -o requirements-test.lock

clean:
	rm -rf .venv out .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

# make demo   the main job on real data, from nothing: .venv, dependencies, one table at the end
# make test   the same environment with the test tools, then every check and every test
PYTHON ?= python3
export PYTHON

BIN := .venv/bin
DEMO_OUT ?= out

.PHONY: demo test check unit lock venv venv-test clean

demo: venv
	$(BIN)/edgepack run examples/digits/recipe.yaml --out $(DEMO_OUT)

test: venv-test check
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: venv-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv-test
	$(BIN)/pytest tests/unit

venv:
	@scripts/venv requirements.lock

venv-test:
	@scripts/venv requirements-test.lock

# Needs uv. The lock files carry hashes and no index address, so that any mirror can serve them.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -p 3.11 --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" -p 3.11 --extra build --extra test -c requirements.lock pyproject.toml -o requirements-test.lock

clean:
	rm -rf .venv out .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

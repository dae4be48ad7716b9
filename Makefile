.PHONY: install test check format ci
install:  ## an editable install with everything for development
	pip install -c constraints.txt -e '.[dev]'
test:     ## all tests
	pytest
check:    ## what .ci/run checks besides the tests
	ruff check . && ruff format --check . && mypy
format:   ## write the code the way we write it
	ruff check --fix . && ruff format .
ci:       ## everything, on a fresh environment, as before landing
	.ci/run

.DEFAULT_GOAL := help
.PHONY: help install test slow ray check format hashes docs pictures fuzz faults soak ci
help:     ## this list
	@sed -n 's/^\([a-z]*\): *## \(.*\)/\1 \2/p' $(MAKEFILE_LIST) | while read -r name does; do printf '%-8s %s\n' "$$name" "$$does"; done
install:  ## an editable install with everything for development
	pip install -c constraints.txt -e '.[dev]'
TESTS = pytest -n auto --dist loadfile --no-loadscope-reorder
test:     ## the quick tests, the files of them shared among the cores
	$(TESTS) -m 'not slow and not ray'
slow:     ## the slow tests: what trains, is killed, starts many processes, or is drawn in a browser
	$(TESTS) -m slow
ray:      ## training on a Ray cluster of three nodes, all on this machine; needs `pip install -e '.[ray]'`
	pytest -m ray
check:    ## style, spelling, types, the direction of imports, generated documents
	.ci/check
format:   ## write the code the way we write it
	ruff check --fix . && ruff format .
hashes:   ## compute all 91,125 model hashes and compare them with the data (half a minute)
	python tests/space/check_hashes.py
docs:     ## write anew what documents take from the code
	cog -r docs/cli.md docs/from-blox.md docs/schema.md
pictures: ## draw the pictures of the documents anew, from invented results (DB=blox.db for a database's)
	python docs/pictures.py $${DB:+--db $$DB}
fuzz:     ## lie to each reader for a minute in all; HOURS=8 for longer; needs `pip install -e '.[fuzz]'`
	.ci/fuzz
faults:   ## kill each command a hundred times in two ways, and training (hours; BLOXDB_FAULTS=10 for fewer)
	BLOXDB_FAULTS=$${BLOXDB_FAULTS:-100} pytest -n auto tests/faults
soak:     ## workers, readers, imports, exports and kills on one database for MINUTES=10, and on BLOXDB_TEST_POSTGRESQL
	BLOXDB_SOAK_MINUTES=$${MINUTES:-10} pytest tests/faults/test_soak.py
ci:       ## everything, on a fresh environment, as before landing
	.ci/run

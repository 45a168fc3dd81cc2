"""The consumer of the inputs: what is fetched, sought, held and committed, and its membership."""

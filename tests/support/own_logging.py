"""Each test's own logging: what a command sets up in the tests' process ends with its test."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def own_logging() -> Iterator[None]:
    """Put structlog, the root's handlers and all levels back as they were."""
    was_configured, config = structlog.is_configured(), structlog.get_config()
    handlers, disabled = logging.root.handlers[:], logging.root.manager.disable
    levels = {logger: logger.level for logger in _loggers()}
    try:
        yield
    finally:
        if was_configured:
            structlog.configure(**config)
        else:
            structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        # Each of both empties the caches of all loggers, and most tests change nothing.
        if logging.root.manager.disable != disabled:
            logging.disable(disabled)
        for logger in _loggers():
            if logger.level != (level := levels.get(logger, logging.NOTSET)):
                logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    named = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(each for each in named if isinstance(each, logging.Logger))]

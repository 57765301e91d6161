"""Stands between the host and the author's handlers.

Finds a misnamed class or method while the plugin is built, turns an exception into a failure with its traceback, says in words
what is wrong with a returned value, and lets `logging` end in the plugin's log. Put into every Python plugin by `belfry build`.
"""

import annotationlib
import dataclasses
import enum
import logging
import sys
import typing

from componentize_py_types import Err
from wit_world import exports

try:
    from wit_world.imports import logging as host_log
except ImportError:
    host_log = None

# The author's folder is mounted as this while the plugin is built, and tracebacks name it so.
HOME = "/0/"

# Until the first call the plugin is being built, and the host's functions trap.
called = False


class Refused(Exception):
    """Ends the build. The text between the marks is shown."""

    def __init__(self, text):
        super().__init__(f"\x01{text}\x02")


def listed(names):
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def guard(app, file, interface, methods):
    """The class that the host sees in place of the author's `interface`. `methods` has the name of each and how it fails."""
    protocol = getattr(exports, interface)
    found = getattr(app, interface, None)
    shape = f"class {interface}:` with `" + "`, `".join(f"def {name}(self, …)" for name in methods)
    if not isinstance(found, type):
        classes = [name for name, value in vars(app).items() if isinstance(value, type) and value.__module__ == app.__name__]
        raise Refused(
            f"`{file}` has no class `{interface}`, which `wit/world.wit` promises; it has {listed(classes)}. "
            f"Write `{shape}`, or take its line out of `wit/world.wit`"
        )
    for name in methods:
        method = getattr(found, name, None)
        if method is None or method is getattr(protocol, name, None):
            own = [name for name in vars(found) if not name.startswith("_")]
            raise Refused(f"class `{interface}` of `{file}` has no method `{name}`: it has {listed(own)}. Write `{shape}`")
    instance = []

    def make(name, fails):
        hint = returned(getattr(protocol, name))

        def call(self, *arguments):
            begin()
            try:
                if not instance:
                    instance.append(found())
                value = getattr(instance[0], name)(*arguments)
                wrong = check(hint, value, "")
                if wrong:
                    raise TypeError(f"{name} returned something else than it should: {wrong}")
                return value
            except SystemExit:
                raise
            except BaseException as error:
                raise failure(error, fails) from None

        return call

    return type(interface, (), {name: make(name, fails) for name, fails in methods.items()})


def begin():
    """Before the first call of an instance."""
    global called
    if called:
        return
    called = True
    random = sys.modules.get("random")
    if random is not None:
        # Seeded when the plugin was built: every instance would draw the same numbers.
        random.seed()


def failure(error, fails):
    """What is raised to the host for `error`."""
    if isinstance(error, Err) and fails is not None and type(error.value).__name__.startswith(fails):
        return error
    words = describe(error)
    if fails == "str":
        return Err(words)
    if fails == "Failure":
        from wit_world.imports.types import Failure_Permanent

        return Err(Failure_Permanent(words))
    # It cannot fail with words: they go to the log, and the instance is stopped.
    print(words, file=sys.stderr)
    return error


def describe(error, depth=0):
    """An exception in words: kind, message, traceback by the author's own files, causes."""
    kind = type(error).__name__
    message = refusal(error.value) if isinstance(error, Err) else str(error)
    lines = [f"{kind}: {message}" if message else kind]
    trace = error.__traceback__
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.endswith("belfry_guard.py"):
            frames.append(f'  File "{code.co_filename.removeprefix(HOME)}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    if len(frames) > 40:
        frames[20:-20] = [f"  … {len(frames) - 40} more"]
    lines += frames
    if isinstance(error, BaseExceptionGroup) and depth < 3:
        lines += [f"with {describe(inner, depth + 1)}" for inner in error.exceptions[:5]]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < 3:
        lines.append(f"caused by {describe(cause, depth + 1)}")
    return "\n".join(lines)


def refusal(value):
    """What a host function refused with: `Error_NotGranted(value='…')` and the like."""
    kind = type(value).__name__.rpartition("_")[2]
    text = getattr(value, "value", None)
    if isinstance(value, str):
        return value
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    if text is None:
        return words
    return str(text) if kind == "Other" else f"{words}: {text}"


def returned(method):
    """What the bindings say that a method returns."""
    # As text: within the class `Describe`, `describe.Info` would look for `Info` in its method.
    text = annotationlib.get_annotations(method, format=annotationlib.Format.STRING).get("return", "None")
    return eval(text, vars(typing) | vars(exports))


def check(hint, value, path):
    """What is wrong with `value`, in words; None if nothing is."""

    def wanted(words):
        shown = repr(value)
        if isinstance(value, type):
            shown = f"the class {value.__name__} itself; write {value.__name__}(…)"
        return f"{path or 'it'} must be {words}, not {shown[:200]}"

    if hint is None or hint is type(None) or hint is typing.Any:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        if value is None and type(None) in arguments:
            return None
        choices = [choice for choice in arguments if choice is not type(None)]
        for choice in choices:
            if not dataclasses.is_dataclass(choice) or type(value) is choice:
                return check(choice, value, path)
        return wanted("one of " + ", ".join(f"{choice.__name__}(…)" for choice in choices))
    if origin is list:
        if not isinstance(value, list):
            return wanted("a list")
        return first(check(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is tuple:
        if not isinstance(value, tuple) or len(value) != len(arguments):
            return wanted(f"a tuple of {len(arguments)}")
        return first(check(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(arguments, value)))
    if not isinstance(hint, type):
        return None
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, hint):
            return wanted(f"{hint.__name__}(…)")
        hints = typing.get_type_hints(hint)
        prefix = f"{path}." if path else ""
        return first(check(kind, getattr(value, name), prefix + name) for name, kind in hints.items())
    plain = {str: "a str", int: "an int", bool: "a bool", float: "a float", bytes: "bytes"}.get(hint)
    if hint is float and isinstance(value, int):
        return None
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        if issubclass(hint, enum.Enum):
            return wanted("one of " + ", ".join(f"{hint.__name__}.{case.name}" for case in hint))
        return wanted(plain or hint.__name__)
    return None


def first(problems):
    return next((problem for problem in problems if problem), None)


class HostLog(logging.Handler):
    """Lets what the author logs with `logging` end in the plugin's log; the logger's name is the context."""

    LEVELS = [(50, "CRITICAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG")]

    def emit(self, record):
        if not called:
            return
        name = next((name for level, name in self.LEVELS if record.levelno >= level), "TRACE")
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message += "\n" + describe(record.exc_info[1])
        context = "" if record.name == "root" else record.name
        host_log.log(host_log.Level[name], context, message)


if host_log is not None:
    logging.basicConfig(handlers=[HostLog()], level=logging.DEBUG, force=True)

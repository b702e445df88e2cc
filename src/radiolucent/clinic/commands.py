"""The clinic's commands: ``serve``, ``worker``, ``verify-audit``, ``admin``, ``backup``, ``restore``, ``retention``.

Nothing is imported here that the clinic's packages bring; the command line loads this file only when it is asked for
one of these. Errors are typed and turned into messages and exit codes by :mod:`radiolucent.cli`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radiolucent.errors import MalformedInput

if TYPE_CHECKING:
    from radiolucent.clinic.settings import Settings
    from radiolucent.clinic.store.engine import Store

app = typer.Typer(add_completion=False)
admin = typer.Typer(no_args_is_help=True, help="Accounts of administrators: the first one, and a forgotten password.")
app.add_typer(admin, name="admin")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
LoginOption = Annotated[str, typer.Option(prompt=True, help="2 to 64 of a-z, 0-9 and . _ @ + -")]

RESTART_S = (0.5, 30.0)  # before a worker that died is started again: first pause, longest
PARENT_S = 1.0  # between two looks whether the server that started a worker still lives


@app.command(epilog="Example: `radiolucent serve --workers 1 --port 8411`")
def serve(
    host: Annotated[str | None, typer.Option(help="127.0.0.1 where left out.")] = None,
    port: Annotated[int | None, typer.Option(help="8411 where left out.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that draft; each loads the model once.", min=0, max=64)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Start the review page, its API and the workers that draft, until Ctrl-C. Configured by `RADIOLUCENT_*`."""
    import uvicorn

    from radiolucent.clinic.api.app import make_app
    from radiolucent.clinic.auth.accounts import has_admin
    from radiolucent.clinic.intake import prewarm
    from radiolucent.clinic.ops.logs import configure

    settings = _settings(**{name: value for name, value in (("host", host), ("port", port)) if value is not None})
    _refuse_open_door(settings)
    prewarm()  # the process that opens uploads is forked before there are threads
    with _site(settings) as store, _started(store, workers) as running:
        application = make_app(store)
        configure()
        address = application.state.public_url
        first = None if has_admin(store) else "radiolucent admin create"
        if as_json:
            print(json.dumps({"address": address, "workers": workers, "first_admin": first}), flush=True)
        else:
            print(f"Review page:  {address}\nMode:         {settings.mode}; model {settings.model}", flush=True)
            if first:
                print(
                    f"There is no administrator yet. In another terminal: {first}\n尚无管理员，请运行：{first}",
                    flush=True,
                )
            print("Not a medical device. Ctrl-C stops it. / 非医疗器械。按 Ctrl-C 停止。", flush=True)
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,  # it writes query strings
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=64 * 1024,
                timeout_graceful_shutdown=20,
            )
        )
        for caught in (signal.SIGINT, signal.SIGTERM):
            signal.signal(caught, lambda *_: None)  # uvicorn stops on it, then raises it again: what follows must run
        server.run()
        running.clear()
        if not server.started:
            raise MalformedInput(f"Nothing could listen on {settings.host}:{settings.port}; choose another --port.")


@app.command(epilog="Example: `radiolucent worker --until-idle`")
def worker(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End once nothing is left to be done.")] = False,
    child_of: Annotated[
        int, typer.Option("--child-of", hidden=True, help="Stop when this process is not the parent any more.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Draft, export and fetch what is queued. Several may run, on several machines; killed, they lose nothing."""
    from radiolucent.clinic.jobs.worker import Worker
    from radiolucent.clinic.ops.logs import configure
    from radiolucent.clinic.ops.work import handlers

    configure()
    with _site(_settings()) as store:
        made = Worker(store, handlers(store))

        def stop(*_: Any) -> None:
            made.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if child_of:
            threading.Thread(target=_leave_with, args=(child_of, made.stop), daemon=True).start()
        ended = made.run(until_idle=until_idle)
    if as_json:
        print(json.dumps({"jobs": ended}))


@app.command("verify-audit", epilog="Example: `radiolucent verify-audit --export trail.jsonl`")
def verify_audit(
    export: Annotated[Path | None, typer.Option(help="Also write the trail to this file.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="`jsonl`, or `dicom`: AuditMessage XML (PS3.15 A.5).")
    ] = "jsonl",
    accept_restored: Annotated[
        str | None, typer.Option(help="After a restore: accept the trail as it stands, for this reason, on record.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the audit trail against its keys and its checkpoint: edits, deletions, reordering and a cut-off end."""
    from radiolucent.clinic.audit.export import audit_messages, json_lines
    from radiolucent.clinic.audit.verify import confirm_restored, entries, verify
    from radiolucent.clinic.store.actor import SYSTEM

    if form not in ("jsonl", "dicom"):
        raise MalformedInput(f"Format {form!r} is unknown; use 'jsonl' or 'dicom'.")
    with _site(_settings()) as store:
        if accept_restored is not None:
            confirm_restored(store, SYSTEM, accept_restored)
        verdict = verify(store)
        if export is not None:
            lines = json_lines(entries(store)) if form == "jsonl" else audit_messages(entries(store))
            with export.open("x", encoding="utf-8") as file:
                file.writelines(lines)
    if as_json:
        print(
            json.dumps(
                {
                    "intact": verdict.intact,
                    "entries": verdict.entries,
                    "checkpoint": verdict.checkpoint,
                    "breaks": list(verdict.breaks),
                    "findings": [vars(one) for one in verdict.findings],
                },
                ensure_ascii=False,
            )
        )
    else:
        for one in verdict.findings:
            print(f"{one.fault}: {one.en} / {one.zh}", file=sys.stderr)
        for seq in verdict.breaks:
            print(f"A confirmed restore gave up the trail after what ended at entry {seq}.")
        print(f"{verdict.entries:,} entries; {'intact. / 完整。' if verdict.intact else 'NOT intact. / 不完整。'}")
    if not verdict.intact:
        raise typer.Exit(1)


@admin.command("create", epilog="Example: `radiolucent admin create --login li.wei --name '李伟'`")
def admin_create(
    login: LoginOption,
    name: Annotated[str, typer.Option(prompt=True, help="As people read it.")],
    password_stdin: StdinOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an administrator. There is no default account and no default password."""
    from radiolucent.clinic.auth.accounts import add_user
    from radiolucent.clinic.store.actor import SYSTEM

    with _site(_settings()) as store:
        made = add_user(store, SYSTEM, login=login, name=name, role="admin", password=_password(password_stdin))
    print(json.dumps({"id": made.id, "login": made.login}) if as_json else f"Administrator {made.login} is ready.")


@admin.command("reset", epilog="Example: `radiolucent admin reset --login li.wei`")
def admin_reset(login: LoginOption, password_stdin: StdinOption = False, as_json: JsonOption = False) -> None:
    """Give an account another password and unlock it; its sessions end."""
    from radiolucent.clinic.auth.accounts import change_user, find_user
    from radiolucent.clinic.store.actor import SYSTEM

    with _site(_settings()) as store:
        user = find_user(store, login)
        change_user(store, SYSTEM, user, password=_password(password_stdin))
    print(json.dumps({"login": login}) if as_json else f"{login} has another password; sessions were ended.")


@app.command(epilog="Example: `radiolucent backup /media/backup/clinic-2026-11-24.rlb`")
def backup(
    target: Annotated[Path, typer.Argument(help="File to write; it must not exist.")], as_json: JsonOption = False
) -> None:
    """Write database, films and audit checkpoint into one encrypted file. The keys are not in it: keep them apart."""
    from radiolucent.clinic.ops.backup import KEYS_APART
    from radiolucent.clinic.ops.backup import backup as make

    with _site(_settings()) as store:
        summary = make(store, target)
        apart = KEYS_APART.format(keys=store.settings.keys)
    if as_json:
        print(json.dumps({**vars(summary), "keys_apart": apart}, default=str, ensure_ascii=False))
        return
    cases = summary.rows.get("cases", 0)
    print(f"{target}: {cases:,} cases, {summary.files:,} files, {summary.audit_entries:,} audit entries.\n{apart}")


@app.command(epilog="Example: `radiolucent restore /media/backup/clinic-2026-11-24.rlb --reason 'disk failure'`")
def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    reason: Annotated[str, typer.Option(help="Stays on record.")],
    as_json: JsonOption = False,
) -> None:
    """Put a backup into an empty database and data folder; the keys must be in place."""
    from radiolucent.clinic.ops.backup import restore as put_back

    summary = put_back(source, _settings(), reason=reason)
    if as_json:
        print(json.dumps(vars(summary), default=str))
    else:
        cases = summary.rows.get("cases", 0)
        print(f"{cases:,} cases, {summary.files:,} files and {summary.audit_entries:,} audit entries are back.")


@app.command(epilog="Example: `radiolucent retention --days 3650 --dry-run`")
def retention(
    days: Annotated[int | None, typer.Option(help="RADIOLUCENT_RETENTION_DAYS where left out; 0: nobody.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase patients whose finished cases are old enough, and sweep up interrupted uploads and ended sessions."""
    from radiolucent.clinic.ops.retention import sweep
    from radiolucent.clinic.store.actor import Actor

    with _site(_settings()) as store:
        swept = sweep(store, Actor("system", "admin", "radiolucent"), days=days, dry_run=dry_run)
    if as_json:
        print(json.dumps(vars(swept)))
    else:
        verb = "would be" if dry_run else "were"
        print(f"{len(swept.patients)} patients {verb} erased; {swept.orphans} left-over files {verb} removed.")


def _settings(**given: Any) -> Settings:
    from radiolucent.clinic.settings import from_env

    return from_env(**given)


@contextmanager
def _site(settings: Settings) -> Iterator[Store]:
    from radiolucent.clinic.store.engine import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        store.dispose()


def _refuse_open_door(settings: Settings) -> None:
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.public_url.startswith("https://"):
        raise MalformedInput(
            f"{settings.host} is reached from other machines, where passwords and films must not travel unencrypted. "
            "Put a proxy with TLS in front and set RADIOLUCENT_PUBLIC_URL to its https address, or bind 127.0.0.1."
        )


@contextmanager
def _started(store: Store, workers: int) -> Iterator[threading.Event]:
    """Workers as processes of their own, started again when one dies; the start and the end are on record."""
    from radiolucent.clinic.audit.trail import note
    from radiolucent.clinic.store.actor import SYSTEM

    settings = store.settings
    with store.begin() as session:
        told = {"mode": settings.mode, "model": settings.model, "workers": workers, "legal_basis": settings.legal_basis}
        note(store, session, SYSTEM, "system.start", "site", "server", **told)
    running = threading.Event()
    running.set()
    keepers = [threading.Thread(target=_keep_worker, args=(running,)) for _ in range(workers)]
    for keeper in keepers:
        keeper.start()
    try:
        yield running
    finally:
        running.clear()
        for keeper in keepers:
            keeper.join()
        with store.begin() as session:
            note(store, session, SYSTEM, "system.stop", "site", "server")


def _keep_worker(running: threading.Event) -> None:
    command = [
        sys.executable,
        "-c",
        "from radiolucent.cli import main; main()",
        "worker",
        "--child-of",
        str(os.getpid()),
    ]
    pause = RESTART_S[0]
    while running.is_set():
        started = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while running.is_set() and process.poll() is None:
            time.sleep(0.1)
        if process.poll() is None:
            process.terminate()  # it ends its job first, or is killed and loses nothing by it
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        lasted = time.monotonic() - started
        pause = RESTART_S[0] if lasted > RESTART_S[1] else min(pause * 2, RESTART_S[1])
        until = time.monotonic() + pause
        while running.is_set() and time.monotonic() < until:
            time.sleep(0.1)


def _leave_with(parent: int, stop: Any) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    stop()


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True))

"""What commands ask of a running worker, also where it speaks TLS."""

import ssl
from pathlib import Path

import trustme
from aiohttp import web

from streamapp.cli.worker_access import WorkerAccess
from streamapp.settings import Settings
from tests.support.process import free_port


async def test_worker_that_speaks_tls_is_asked(tmp_path: Path) -> None:
    """With a certificate set, the worker's own address is https, and its own file is trusted."""
    authority, port = trustme.CA(), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    chain = [*certificate.cert_chain_pems, authority.cert_pem]
    cert_file.write_bytes(b"".join(blob.bytes() for blob in chain))
    certificate.private_key_pem.write_to_path(key_file)
    settings = Settings(web_port=port, web_cert_file=cert_file, web_key_file=key_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert_file, key_file)

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response({"path": request.path})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        async with WorkerAccess(settings) as worker:
            found = await worker.get("/v1/x")
    finally:
        await runner.cleanup()

    assert found == {"path": "/v1/x"}
    assert worker.base == f"https://127.0.0.1:{port}"

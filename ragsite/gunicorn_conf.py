"""How the web process runs. The slow imports happen while a worker starts, not while somebody waits for an answer."""

import gc
import os

workers = int(os.environ.get("WEB_PROCESSES", "1"))
threads = int(os.environ.get("WEB_THREADS", "16"))
worker_class = "gthread"
timeout = 60
graceful_timeout = 20
keepalive = 30
control_socket_disable = True
# What proxies say is judged in one place, `ragsite.proxies`: nothing of it changes the request before.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}


def post_worker_init(worker: object) -> None:
    from rag import provider_stack

    provider_stack.warm_up()
    gc.collect()
    gc.freeze()  # the SDKs' classes stay for ever: without this every full collection walks through all of them
    gc.set_threshold(20_000, 20, 50)

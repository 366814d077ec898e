"""The routes of the sandbox, and the shape of errors that happen before a route is found."""

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import anthropic_api, bill_csv, control_api, embeddings_api, openai_reports_api, reports_api, rerank_api
from sandbox.call import endpoint, new_request_id, refused
from sandbox.control import BadOrder
from sandbox.state import SANDBOX, Sandbox
from sandbox.vendors import Refusal, vendor_of

MAX_BODY_BYTES = 32 * 1024 * 1024


def build(sandbox: Sandbox) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[shape_errors])
    app[SANDBOX] = sandbox
    app.add_routes([*control_api.routes(), web.get("/_bill.csv", bill_csv.show)])
    app.add_routes(
        [
            web.post(
                "/anthropic/v1/messages",
                endpoint("anthropic.messages", vendor="anthropic", answer=anthropic_api.messages),
            ),
            web.post(
                "/anthropic/v1/messages/count_tokens",
                endpoint("anthropic.count_tokens", vendor="anthropic", answer=anthropic_api.count_tokens),
            ),
            web.get(
                "/anthropic/v1/organizations/cost_report",
                endpoint("anthropic.cost_report", vendor="anthropic", answer=reports_api.cost_report),
            ),
            web.get(
                "/anthropic/v1/organizations/usage_report/messages",
                endpoint("anthropic.usage_report", vendor="anthropic", answer=reports_api.usage_report),
            ),
            web.post(
                "/voyage/v1/embeddings",
                endpoint("voyage.embeddings", vendor="voyage", answer=embeddings_api.voyage),
            ),
            web.post(
                "/openai/v1/embeddings",
                endpoint("openai.embeddings", vendor="openai", answer=embeddings_api.openai),
            ),
            web.get(
                "/openai/v1/organization/usage/embeddings",
                endpoint("openai.usage", vendor="openai", answer=openai_reports_api.usage_report),
            ),
            web.get(
                "/openai/v1/organization/costs",
                endpoint("openai.costs", vendor="openai", answer=openai_reports_api.cost_report),
            ),
            web.post("/cohere/v2/rerank", endpoint("cohere.rerank", vendor="cohere", answer=rerank_api.rerank)),
        ]
    )
    return app


@web.middleware
async def shape_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Unknown paths, wrong methods and too large bodies in the words of the vendor whose path it is."""
    try:
        return await handler(request)
    except BadOrder as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        message = f"{error.reason}: {request.method} {request.path}"
        return refused(vendor_of(request.path), Refusal(error.status, message), request_id=new_request_id())

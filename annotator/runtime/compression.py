"""Pages and answers to scripts travel compressed; pictures and downloads are left as they are.

Compression tells the length of what a page repeats (BREACH). The only secret in a page is the CSRF token, and Django
masks it anew in each answer; no page repeats an address's query beside it; and the padding that Django's middleware
adds, of random length, blurs what is left.
"""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

COMPRESSED = ("text/html", "application/json")


class CompressPages(GZipMiddleware):
    """Django's own, for text only."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_text = response.headers.get("Content-Type", "").startswith(COMPRESSED)
        if not isinstance(response, HttpResponse) or not is_text:
            return response
        return super().process_response(request, response)

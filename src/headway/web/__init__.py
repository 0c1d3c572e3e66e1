"""How it is served: progress for web pages, in any framework.

`protocol` decides every answer and does no I/O; `access` and `links` say who may see what; a door (`asgi`,
`wsgi`, `starlette`, `fastapi`, `flask`) only carries the answers.
"""

"""What GitHub sends on a push, as far as the shop reads it."""

from pydantic import BaseModel


class Repository(BaseModel):
    full_name: str


class Pusher(BaseModel):
    name: str


class Push(BaseModel):
    ref: str
    after: str
    deleted: bool
    repository: Repository
    pusher: Pusher

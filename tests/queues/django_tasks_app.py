"""The tasks of the contract; what a function is called is what its task is called."""

from importlib import import_module

from django.db import transaction
from django.dispatch import receiver
from tests.queues.django_project import TASKS_MODULE

import headway
from headway.queues import reported
from headway.testing import queue_bodies as bodies

task = import_module(TASKS_MODULE).task
signals = import_module(f"{TASKS_MODULE}.signals")


@task
def succeed(rows):
    return bodies.succeed(rows)


@task
def fail():
    bodies.fail()


@task
def flaky(path, failures):
    return bodies.flaky(path, failures)


@task
def endless(path):
    bodies.endless(path)


@task
def first_endless(path):
    return bodies.first_endless(path)


@task
def slow(path, seconds):
    return bodies.slow(path, seconds)


@task
def strange():
    return bodies.strange()


@task
def forking():
    return bodies.forking()


@task(takes_context=True)
@reported(name="Import of customers", total=len, scope="user/1")
async def named(context, rows):
    for _ in headway.current().track(rows):
        pass
    return context.attempt


@task
@reported(False)
def unreported():
    return headway.current().started


@task
def outer(path):
    """Call another task's function as one does, and be stopped inside."""
    endless.call(path)


@task
def in_a_transaction(path):
    """Report within a transaction that is open for a while."""
    with transaction.atomic():
        headway.current().advance(5)
        bodies.slow(path, 3)


@receiver(signals.task_started)
def starting(task_result, **_):
    if task_result.kwargs.get("raises") == "starting":
        raise RuntimeError("a receiver of somebody else's")


@receiver(signals.task_finished)
def finishing(task_result, **_):
    if task_result.kwargs.get("raises") == "finishing" and task_result.status == "SUCCESSFUL":
        raise RuntimeError("a receiver of somebody else's")


@task
def met_by_a_receiver(raises):
    return headway.current().started

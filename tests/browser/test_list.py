"""What <headway-list> shows."""

import pytest
from tests.processes import eventually

LIST = '<headway-list src="/headway/jobs?scope=user/1"><p>Nothing yet.</p></headway-list>'


@pytest.fixture
def names(page):
    return lambda: page.locator("headway-progress [part=name]").all_text_contents()


def test_all_jobs_of_a_scope_newest_first_and_new_ones_as_they_start(door, page, names):
    door.tell("a", scope="user/1", name="First", count=1, total=4)
    door.tell("b", scope="user/1", name="Second", count=2, total=4)
    door.tell("x", scope="user/2", name="Another's")
    page.goto(door.page(LIST))
    eventually(lambda: names() == ["Second", "First"])
    assert not page.get_by_text("Nothing yet.").is_visible()
    door.tell("c", "pending", scope="user/1", name="Third")
    eventually(lambda: names() == ["Third", "Second", "First"])
    door.tell("a", "completed", name="First", count=4, total=4)
    eventually(lambda: page.locator("[state=completed]").count() == 1)
    assert door.most_streams == 1
    assert len(door.requests("/events")) == 1


def test_an_empty_list_says_what_the_page_says(door, page, names):
    page.goto(door.page(LIST))
    eventually(lambda: page.get_by_text("Nothing yet.").is_visible())
    door.tell("a", scope="user/1", name="First")
    eventually(lambda: names() == ["First"])
    assert not page.get_by_text("Nothing yet.").is_visible()


@pytest.mark.parametrize("fault", ["no streams", "silent"])
def test_a_list_is_polled_where_streams_do_not_come_through(door, page, names, fault):
    door.fault = fault
    door.tell("a", scope="user/1", name="First")
    page.clock.install()
    page.goto(door.page(LIST))
    eventually(lambda: door.requests("/events"))
    page.clock.fast_forward(6_500)
    eventually(lambda: names() == ["First"], 20)
    door.tell("b", scope="user/1", name="Second")
    eventually(lambda: names() == ["Second", "First"], 30)


def test_a_list_cancels_and_hands_its_looks_on(door, page, names):
    door.tell("a", scope="user/1", name="First")
    page.goto(
        door.page('<headway-list src="/headway/jobs?scope=user/1" cancel compact csrf="x"></headway-list>')
    )
    eventually(lambda: names() == ["First"])
    page.get_by_role("button", name="Cancel First").click()
    eventually(lambda: door.cancels == ["a"])
    assert page.locator("headway-progress[compact]").count() == 1
    assert door.requests("/cancel")[0].headers["x-csrftoken"] == "x"


def test_lists_and_elements_of_one_page_share_a_stream(door, page, names):
    door.tell("a", scope="user/1", name="First")
    door.tell("b", scope="user/2", name="Second")
    door.tell("c", name="Third")
    lists = LIST + LIST.replace("user/1", "user/2")
    page.goto(door.page(lists + '<headway-progress src="/headway/jobs/c"></headway-progress>'))
    eventually(lambda: sorted(names()) == ["First", "Second", "Third"])
    assert len(door.requests("/events")) == 1
    door.tell("d", scope="user/2", name="Fourth")
    eventually(lambda: names() == ["First", "Fourth", "Second", "Third"])


def test_two_hundred_jobs_are_one_stream(door, page):
    for n in range(200):
        door.tell(f"job{n}", scope="user/1", name=f"Job {n}", count=n, total=200)
    page.goto(door.page('<headway-list compact src="/headway/jobs?scope=user/1"></headway-list>'))
    eventually(lambda: page.locator("[state=running]").count() == 200, 30)
    door.tell("job7", "completed", name="Job 7")
    eventually(lambda: page.locator("[state=completed]").count() == 1)
    assert len(door.asked) == 2

"""The elements under the frameworks that people use, from the versions in package-lock.json."""

import json

import pytest
from tests.browser.door import HERE
from tests.processes import eventually

NPM = HERE / "node_modules"
BAR = '<headway-progress id="bar" src="/headway/jobs/a"></headway-progress>'


@pytest.fixture(autouse=True)
def one_job(door):
    door.tell("a", name="Import", count=1, total=4)


def script(path):
    return f'<script src="/npm/{path}"></script>'


def one_stream(door):
    return eventually(lambda: door.streams == 1)


def modules(*packages):
    """React comes as CommonJS only: a page's worth of `require`."""
    files = [
        file
        for package in packages
        for file in (NPM / package).glob("cjs/*.production.js")
        if "server" not in file.name
    ]
    bodies = {f"{file.parts[-3]}/{file.name.split('.')[0]}": file.read_text() for file in files}
    table = ",".join(
        f"{json.dumps(name)}: (module, exports, require) => {{{body}\n}}" for name, body in bodies.items()
    )
    return f"""const made = {{}}, table = {{{table}}};
    window.process = {{env: {{}}}};
    window.require = (name) => {{
      const inside = name.replace("react-dom/client", "react-dom/react-dom-client");
      const full = name.includes("/") ? inside : name + "/" + name;
      if (!made[full]) table[full](made[full] = {{exports: {{}}}}, made[full].exports, require);
      return made[full].exports;
    }};"""


@pytest.mark.parametrize("version", ["htmx2", "htmx4"])
@pytest.mark.parametrize("swap", ["outerHTML", "innerHTML"])
def test_htmx_swaps_bars_in_and_out(door, page, shown, version, swap):
    door.file("/fragment", BAR.replace("jobs/a", "jobs/b"), "text/html")
    door.tell("b", name="Second", count=3, total=4)
    button = f'<button hx-get="/fragment" hx-target="#place" hx-swap="{swap}">go</button>'
    page.goto(
        door.page(f'<div id="place">{BAR}</div>{button}', head=script(f"{version}/dist/htmx.js"), csp=None)
    )
    shown().becomes("running")
    page.get_by_role("button", name="go").click()
    shown("#bar[src$=b]").says("percent", "75%")
    one_stream(door)
    assert page.locator("headway-progress").count() == 1


def test_htmx_4_morphs_around_a_bar(door, page, shown):
    body = f'<div id="place"><p>before</p>{BAR}</div>'
    door.file("/fragment", f'<div id="place"><p>after</p>{BAR}</div>', "text/html")
    button = '<button hx-get="/fragment" hx-target="#place" hx-swap="outerMorph">go</button>'
    page.goto(door.page(body + button, head=script("htmx4/dist/htmx.js"), csp=None))
    shown().becomes("running")
    page.evaluate("window.first = document.querySelector('headway-progress')")
    page.get_by_role("button", name="go").click()
    eventually(lambda: page.get_by_text("after").count() == 1)
    assert page.evaluate("first === document.querySelector('headway-progress')")
    assert shown().state == "running", "what a morph took away is there again"
    door.tell("a", name="Import", count=2, total=4)
    shown().says("percent", "50%")
    assert len(door.requests("/events")) == 1


def test_turbo_visits_previews_and_restores(door, page, shown):
    head = '<script type="module" src="/npm/@hotwired/turbo/dist/turbo.es2017-esm.js"></script>'
    door.page('<a href="/page">back</a>', path="/other", head=head, csp=None)
    page.goto(door.page(f'{BAR}<a href="/other">on</a>', head=head, csp=None))
    shown().becomes("running")
    page.get_by_text("on", exact=True).click()
    page.get_by_text("back").wait_for()
    eventually(lambda: door.streams == 0)
    door.tell("a", name="Import", count=3, total=4)
    page.go_back()
    shown().says("percent", "75%")
    one_stream(door)


def test_react_renders_again_without_a_reset(door, page, shown):
    door.file("/modules.js", modules("scheduler", "react", "react-dom"))
    door.file("/app.js", """
      const {createElement, useState, StrictMode} = require("react");
      function App() {
        const [count, setCount] = useState(0), [done, setDone] = useState("");
        return createElement("div", null,
          createElement("headway-progress", {
            src: "/headway/jobs/a", cancel: true, poll: 2, "with-credentials": true,
            "onheadway-done": (event) => setDone(event.detail.status),
          }),
          createElement("button", {id: "again", onClick: () => setCount(count + 1)}, "renders " + count),
          createElement("output", null, done));
      }
      require("react-dom/client").createRoot(document.getElementById("app")).render(createElement(App));
    """)  # fmt: skip
    scripts = '<script src="/modules.js"></script><script defer src="/app.js"></script>'
    page.goto(door.page('<div id="app"></div>', head=scripts, csp=None))
    shown().becomes("running")
    assert shown().part("cancel").is_visible()
    for _ in range(3):
        page.locator("#again").click()
    page.get_by_text("renders 3").wait_for()
    assert shown().text("percent") == "25%"
    assert len(door.requests("/events")) == 1
    door.tell("a", "completed", name="Import")
    page.get_by_text("completed", exact=True).locator("visible=true").first.wait_for()
    eventually(lambda: page.locator("output").text_content() == "completed")


def test_vue_moves_bars_about_and_hears_them(door, page, shown):
    door.tell("b", name="Second", count=3, total=4)
    door.file("/app.js", """
      import {createApp, h} from "/npm/vue/dist/vue.runtime.esm-browser.prod.js";
      createApp({
        data: () => ({ids: ["a", "b"], done: ""}),
        render() {
          return [
            ...this.ids.map((id) => h("headway-progress", {
              key: id, src: "/headway/jobs/" + id, onHeadwayDone: (event) => this.done = event.detail.name,
            })),
            h("button", {onClick: () => this.ids.reverse()}, "turn"),
            h("output", this.done),
          ];
        },
      }).mount("#app");
    """)  # fmt: skip
    page.goto(
        door.page('<div id="app"></div>', head='<script type="module" src="/app.js"></script>', csp=None)
    )
    eventually(lambda: page.locator("[state=running]").count() == 2)
    page.get_by_role("button", name="turn").click()
    eventually(
        lambda: page.locator("headway-progress [part=name]").all_text_contents() == ["Second", "Import"]
    )
    assert len(door.requests("/events")) == 1, "moved, not asked for again"
    door.tell("b", "completed", name="Second")
    eventually(lambda: page.locator("output").text_content() == "Second")


def test_clones_and_moves_show_the_same(door, page, shown):
    page.goto(door.page(f"<main>{BAR}</main><aside></aside>"))
    shown().becomes("running")
    page.evaluate("""() => {
      const bar = document.querySelector("headway-progress");
      document.querySelector("aside").append(bar);
      document.querySelector("main").append(bar.cloneNode(true));
    }""")
    eventually(lambda: page.locator("[part=percent]").all_text_contents() == ["25%", "25%"])
    assert len(door.requests("/events")) == 1

// @ts-check
/// <reference lib="dom" />
/** @import { Scene, Story, Ladder, Row, Window } from "../view.ts" */
/** @import { Figure } from "../stage.ts" */

/** Draws what the demo tells. Everything is set as text: nothing that a venue says becomes markup. */

/**
 * The element with an id.
 *
 * @param {string} id The id.
 */
function at(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Makes an element.
 *
 * @param {string} name Its name.
 * @param {Record<string, string>} attributes Its attributes.
 * @param {...(string | Node)} children What is in it.
 */
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "text", "line", "title"].includes(name);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "part") /** @type {HTMLElement} */ (element).style.setProperty("--part", value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** @param {number} milliseconds A duration. */
function seconds(milliseconds) {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

/** @param {string} text What happened, for a small place. */
function short(text) {
  const words = text.replace(/^venue /, "");
  return words.length > 26 ? `${words.slice(0, 25)}…` : words;
}

/** Width of the time line in its own units: it is stretched to the page. */
const WIDTH = 1_000;

/**
 * The states of the feed as a bar, with a pin for each fault.
 *
 * @param {Scene} scene What is known.
 */
function timeLine({ elapsed, duration, history, stories }) {
  const whole = Math.max(duration, elapsed);
  const x = (/** @type {number} */ time) => time / whole * WIDTH;
  const bar = (
    /** @type {number} */ from,
    /** @type {number} */ to,
    /** @type {string} */ state,
  ) => {
    const size = {
      x: `${x(from)}`,
      width: `${Math.max(0, x(to) - x(from))}`,
      y: "26",
      height: "22",
    };
    return make(
      "rect",
      { ...size, class: state },
      make("title", {}, `${state} from ${seconds(from)}`),
    );
  };
  const bars = history.map(({ at: from, state }, i) =>
    bar(from, Math.min(history[i + 1]?.at ?? elapsed, elapsed), state)
  );
  const pins = stories.filter(({ about, outcome }) => about !== "order" && outcome !== "note").map(
    ({ at: when, steps }, i) => {
      const label = make(
        "text",
        { x: `${x(when) + 4}`, y: i % 2 ? "22" : "10" },
        short(steps[0]),
      );
      label.append(make("title", {}, steps.join(" → ")));
      const place = { x1: `${x(when)}`, x2: `${x(when)}`, y1: i % 2 ? "14" : "2", y2: "48" };
      return [make("line", { ...place, class: "pin" }), label];
    },
  ).flat();
  const ticks = Array.from(
    { length: 11 },
    (_, i) =>
      make(
        "text",
        { x: `${Math.min(i * WIDTH / 10, WIDTH - 34)}`, y: "64" },
        seconds(i * whole / 10),
      ),
  );
  const rest = bar(elapsed, whole, "rest");
  return make(
    "svg",
    { viewBox: `0 0 ${WIDTH} 74`, preserveAspectRatio: "none", role: "img" },
    ...bars,
    rest,
    ...ticks,
    ...pins,
  );
}

/**
 * One book: asks from far to near, then bids from near to far.
 *
 * @param {Ladder} ladder The book.
 */
function book({ name, note, valid, bids, asks }) {
  const largest = Math.max(...[...bids, ...asks].map(({ qty }) => Number(qty)), Number.MIN_VALUE);
  const row = (/** @type {"bid" | "ask"} */ side) => (/** @type {Row} */ { price, qty }) =>
    make(
      "tr",
      { class: side, part: `${Math.round(Number(qty) / largest * 100)}%` },
      make("td", {}, price),
      make("td", {}, qty),
    );
  return make(
    "table",
    { class: valid ? "" : "stale" },
    make("caption", {}, `${name} `, make("small", {}, note)),
    make("tbody", {}, ...asks.toReversed().map(row("ask")), ...bids.map(row("bid"))),
  );
}

/**
 * One limit: how much of it is spent.
 *
 * @param {Window} window The limit.
 */
function limit({ name, spent, limit: most }) {
  const bounds = {
    min: "0",
    max: `${most}`,
    high: `${most * 0.8}`,
    optimum: "0",
    value: `${spent}`,
  };
  return make(
    "div",
    { class: "limit" },
    make("span", {}, name),
    make("meter", bounds),
    make("span", {}, `${spent} of ${most}`),
  );
}

/**
 * A story as a chain of steps.
 *
 * @param {Story} story The story.
 */
function chain({ at: when, steps, outcome }) {
  const parts = steps.flatMap((
    step,
    i,
  ) => [i > 0 ? " → " : " ", make("span", { class: "step" }, step)]);
  return make("li", { class: outcome }, make("time", {}, seconds(when)), ...parts);
}

/** @param {Scene} scene What is known now. */
function draw(scene) {
  const { title, state, facts, elapsed, duration, stories, windows = [], queue, asked } = scene;
  at("title").textContent = title;
  at("state").textContent = state;
  at("state").className = `badge ${state}`;
  at("facts").textContent = facts.join(" · ");
  at("clock").textContent = `${seconds(elapsed)} of ${seconds(duration)}`;
  at("time").replaceChildren(timeLine(scene));
  at("books").replaceChildren(...scene.ladders.map(book));
  at("limits").replaceChildren(...windows.map(limit));
  at("asked").textContent = [`${queue} requests wait`, ...asked].join(" · ");
  const [orders, others] = [[], []].map((_, i) =>
    stories.filter(({ about }) => (about === "order") === (i === 0)).toReversed()
  );
  at("orders").replaceChildren(...orders.map(chain));
  at("faults").replaceChildren(...others.map(chain));
}

/** @param {Figure[]} figures How it ended. */
function conclude(figures) {
  const line = (/** @type {Figure} */ { ok, text }) =>
    make(
      "li",
      { class: ok ? "good" : "bad" },
      make("span", { class: "step" }, ok ? "✓" : "✗"),
      ` ${text}`,
    );
  at("figures").replaceChildren(...figures.map(line));
  at("end").hidden = false;
}

const events = new EventSource("events");
events.addEventListener("scene", ({ data }) => draw(JSON.parse(data)));
events.addEventListener("figures", ({ data }) => {
  conclude(JSON.parse(data));
  events.close();
});

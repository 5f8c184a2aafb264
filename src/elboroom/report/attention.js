"use strict";
// Attention maps: reading a weight under the pointer or by arrow keys, and choosing the head that is drawn large.
(() => {
  const holder = document.querySelector(".heads[data-tokens]");
  if (!holder) return;
  const names = JSON.parse(holder.dataset.tokens);
  const n = names.length;
  const LEVELS = 32;
  const step = (w) => (w > 0 ? Math.max(1, Math.round(Math.sqrt(Math.min(1, w)) * LEVELS)) : -1);
  const node = (name, set) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(set)) made.setAttribute(k, v);
    return made;
  };
  const heads = [...holder.querySelectorAll("svg.head")].map((svg) => ({
    svg,
    layer: Number(svg.dataset.layer),
    head: Number(svg.dataset.head),
    rows: svg.dataset.weights.split(";").map((row) => (row ? row.split(" ") : [])),
    grid: [0, 0, 1],
  }));
  const perLayer = heads.filter((h) => h.layer === heads[0].layer).length;
  const maps = [...document.querySelectorAll("svg.map[data-grid]")].map((svg) => ({ svg, grid: svg.dataset.grid.split(" ").map(Number) }));
  const tokens = [...document.querySelectorAll(".token")];
  let chosen = heads.find((h) => h.svg.classList.contains("chosen")) ?? heads[0];
  let at = [n - 1, 0];

  const tip = document.createElement("p");
  tip.className = "reading tip";
  tip.hidden = true;
  const live = document.createElement("p");
  live.className = "hidden";
  live.setAttribute("aria-live", "polite");
  document.body.append(tip, live);

  const weight = (h, i, j) => h.rows[i][j] ?? "0";
  const words = (h, i, j) => {
    const far = i === j ? "itself" : `${names[j]} (${j + 1}), ${Math.abs(i - j)} ${j < i ? "back" : "ahead"}`;
    return `${names[i]} (${i + 1}) looks at ${far}: ${weight(h, i, j)} · layer ${h.layer}, head ${h.head}`;
  };
  const cross = (place, i, j) => {
    const [left, top, cell] = place.grid;
    place.line ??= place.svg.appendChild(node("path", { class: "cross" }));
    const [x, y, all] = [left + j * cell, top + i * cell, n * cell];
    place.line.setAttribute("d", `M${left} ${y}h${all}v${cell}h${-all}zM${x} ${top}v${all}h${cell}v${-all}z`);
  };
  const shade = (h, i) => {
    tokens.forEach((token, j) => {
      const s = step(Number(weight(h, i, j)));
      token.className = "token" + (s > 0 ? ` b-q${s}` : "") + (j === i ? " at" : "");
    });
    for (const who of document.querySelectorAll(".who")) who.textContent = `${names[i]} (${i + 1})`;
  };
  const show = (h, i, j, x, y) => {
    at = [i, j];
    cross(h, i, j);
    for (const m of maps) cross(m, i, j);
    shade(h, i);
    tip.textContent = words(h, i, j);
    tip.hidden = false;
    const [wide, tall] = [tip.offsetWidth, tip.offsetHeight];
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - wide - 8)) + "px";
    tip.style.top = (y + 18 + tall > innerHeight ? y - tall - 12 : y + 18) + "px";
  };
  const hide = () => {
    tip.hidden = true;
    for (const place of [...heads, ...maps]) place.line?.setAttribute("d", "");
  };
  const under = (place, event) => {
    const [left, top, cell] = place.grid;
    const box = place.svg.getBoundingClientRect();
    const scale = place.svg.viewBox.baseVal.width / box.width;
    const j = Math.floor(((event.clientX - box.left) * scale - left) / cell);
    const i = Math.floor(((event.clientY - box.top) * scale - top) / cell);
    return i >= 0 && j >= 0 && i < n && j < n ? [i, j] : null;
  };
  const draw = () => {
    for (const m of maps) {
      const [left, top, cell] = m.grid;
      const paths = new Map();
      chosen.rows.forEach((row, i) => row.forEach((w, j) => {
        const s = step(Number(w));
        if (s > 0) paths.set(s, (paths.get(s) ?? "") + `M${left + j * cell} ${top + i * cell}h${cell}v${cell}h${-cell}z`);
      }));
      const made = node("g", { class: "cells", "shape-rendering": "crispEdges" });
      for (const [s, d] of paths) made.append(node("path", { class: `f-q${s}`, d }));
      m.svg.querySelector(".cells").replaceWith(made);
      m.svg.querySelector(".map-title").textContent = `Layer ${chosen.layer}, head ${chosen.head}`;
    }
    for (const h of heads) {
      h.svg.classList.toggle("chosen", h === chosen);
      h.svg.setAttribute("aria-pressed", h === chosen);
    }
    for (const which of document.querySelectorAll(".which")) which.textContent = `layer ${chosen.layer}, head ${chosen.head}`;
    shade(chosen, at[0]);
  };
  const choose = (h) => {
    chosen = h;
    draw();
  };
  const speak = () => (live.textContent = tip.textContent);

  heads.forEach((h, index) => {
    h.svg.setAttribute("role", "button");
    h.svg.setAttribute("tabindex", "0");
    h.svg.setAttribute("aria-pressed", h === chosen);
    h.svg.addEventListener("pointermove", (e) => {
      const found = under(h, e);
      if (found) show(h, ...found, e.clientX, e.clientY);
    });
    h.svg.addEventListener("pointerleave", hide);
    h.svg.addEventListener("click", () => choose(h));
    h.svg.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perLayer, ArrowDown: perLayer }[e.key];
      if (by !== undefined) heads[index + by]?.svg.focus();
      else if (e.key === "Enter" || e.key === " ") choose(h);
      else return;
      e.preventDefault();
    });
  });
  for (const m of maps) {
    for (const title of m.svg.querySelectorAll("title")) title.remove();
    m.svg.setAttribute("tabindex", "0");
    const read = (e) => {
      const found = under(m, e);
      if (!found) return hide();
      show(chosen, ...found, e.clientX, e.clientY);
    };
    m.svg.addEventListener("pointermove", read);
    m.svg.addEventListener("pointerdown", read);
    m.svg.addEventListener("pointerleave", hide);
    m.svg.addEventListener("blur", hide);
    m.svg.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
      if (!by) return;
      e.preventDefault();
      const much = e.shiftKey ? 10 : 1;
      const [i, j] = at.map((v, k) => Math.max(0, Math.min(n - 1, v + by[k] * much)));
      const box = m.svg.getBoundingClientRect();
      const scale = box.width / m.svg.viewBox.baseVal.width;
      show(chosen, i, j, box.left + (m.grid[0] + (j + 1) * m.grid[2]) * scale, box.top + (m.grid[1] + i * m.grid[2]) * scale);
      speak();
    });
  }
  tokens.forEach((token, i) => {
    token.addEventListener("pointerenter", () => {
      at = [i, at[1]];
      shade(chosen, i);
    });
  });
})();

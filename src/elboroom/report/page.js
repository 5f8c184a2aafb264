"use strict";
// Reading of values under the pointer or by arrow keys, and saving a drawing. The page is complete without it.
(() => {
  if (parent !== window) {
    // Shown inside another page: it is told where the reader is, and may ask for a print.
    addEventListener("hashchange", () => parent.postMessage({ at: location.hash }, "*"));
    addEventListener("message", (e) => e.source === parent && e.data === "print" && print());
  }
  const close = (list, x) => {
    let best = 0;
    for (let i = 1; i < list.length; i++) if (Math.abs(list[i] - x) < Math.abs(list[best] - x)) best = i;
    return best;
  };
  const known = (list, at) => {
    for (let d = 0; d < list.length; d++) {
      if ((list[at - d] ?? null) !== null) return at - d;
      if ((list[at + d] ?? null) !== null) return at + d;
    }
    return -1;
  };
  const words = (v) => {
    if (v === null) return "none";
    const size = Math.abs(v);
    if (size && (size < 1e-4 || size >= 1e6)) {
      const power = Math.floor(Math.log10(size));
      const raised = String(power).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
      return (v / 10 ** power).toFixed(2).replace("-", "−") + " × 10" + raised;
    }
    return v.toLocaleString("en-US", { maximumSignificantDigits: size >= 1000 ? 6 : 5 }).replace("-", "−");
  };
  const svgNode = (name, set) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(set)) node.setAttribute(k, v);
    return node;
  };
  const live = document.createElement("p");
  live.className = "hidden";
  live.setAttribute("aria-live", "polite");
  document.body.append(live);

  for (const figure of document.querySelectorAll("figure[data-reading]")) {
    const reading = JSON.parse(figure.dataset.reading);
    const name = reading.name ?? "epoch";
    const box = document.createElement("p");
    box.className = "reading";
    box.hidden = true;
    figure.querySelector("figcaption").before(box);
    const panels = [...figure.querySelectorAll("svg.panel[data-x]")].map((svg) => {
      const [low, high, start, end] = svg.dataset.x.split(" ").map(Number);
      const line = svgNode("path", { class: "cursor" });
      svg.append(line);
      svg.setAttribute("tabindex", "0");
      return { svg, low, high, start, end, line, y: svg.dataset.y.split(" ").map(Number) };
    });
    let at = -1;
    const show = (i) => {
      at = Math.max(0, Math.min(reading.x.length - 1, i));
      const x = reading.x[at];
      for (const p of panels) {
        const inside = x >= p.low && x <= p.high;
        const px = (p.start + ((x - p.low) / (p.high - p.low)) * (p.end - p.start)).toFixed(1);
        p.line.setAttribute("d", inside ? `M${px} ${p.y[3]}V${p.y[2]}` : "");
      }
      const found = reading.series.map((s) => ({ ...s, i: known(s.y, at) })).filter((s) => s.i >= 0);
      found.sort((a, b) => b.y[b.i] - a.y[a.i]);
      box.replaceChildren(`${name} ${words(Math.round(x * 100) / 100)}`);
      for (const s of found) {
        const part = document.createElement("span");
        part.className = s.css + "-text";
        part.textContent = `${s.name} ${words(s.y[s.i])}` + (s.i === at ? "" : ` (${name} ${words(Math.round(reading.x[s.i] * 100) / 100)})`);
        box.append(" · ", part);
      }
      box.hidden = false;
    };
    const hide = () => {
      box.hidden = true;
      for (const p of panels) p.line.setAttribute("d", "");
    };
    let spoken = 0;
    const speak = () => {
      clearTimeout(spoken);
      spoken = setTimeout(() => (live.textContent = box.textContent), 300);
    };
    for (const p of panels) {
      p.svg.addEventListener("pointermove", (e) => {
        const wide = p.svg.viewBox.baseVal.width / p.svg.getBoundingClientRect().width;
        const px = (e.clientX - p.svg.getBoundingClientRect().left) * wide;
        show(close(reading.x, p.low + ((px - p.start) / (p.end - p.start)) * (p.high - p.low)));
      });
      p.svg.addEventListener("pointerleave", hide);
      p.svg.addEventListener("blur", hide);
      p.svg.addEventListener("keydown", (e) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
        if (step === undefined) return;
        e.preventDefault();
        show(at < 0 ? 0 : at + step * (e.shiftKey ? 10 : 1));
        speak();
      });
    }
  }

  for (const figure of document.querySelectorAll("figure")) {
    const drawings = [...figure.querySelectorAll(".panels:not(.narrow-only) svg")];
    if (!drawings.length || !figure.querySelector(".links")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "csv";
    button.textContent = "svg";
    button.addEventListener("click", () => {
      drawings.forEach((svg, i) => {
        const copy = svg.cloneNode(true);
        copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
        copy.prepend(svgNode("style", {}));
        copy.firstChild.textContent = document.querySelector("style").textContent.replaceAll(":root", "svg");
        const link = document.createElement("a");
        link.href = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(copy.outerHTML);
        link.download = `${figure.id}${drawings.length > 1 ? "-" + (i + 1) : ""}.svg`;
        link.click();
      });
    });
    figure.querySelector(".links").append(button);
  }
})();

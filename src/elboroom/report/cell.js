"use strict";
// Inside a cell: reading all gates at a step under the pointer, and setting the drawing to the step that is clicked.
(() => {
  const traces = [...document.querySelectorAll("svg.traces")];
  const holder = document.querySelector("svg.traces[data-flow]");
  if (!holder) return;
  const flow = JSON.parse(holder.dataset.flow);
  const count = flow.lines.length;
  const MINUS = "\u2212";
  const three = (v) => {
    if (v === 0) return "0";
    const [digits, power] = v.toExponential(2).split("e").map(Number);
    const text = power >= -3 && power <= 3 ? Number(v.toPrecision(3)).toFixed(Math.max(0, 2 - power)) : `${digits.toFixed(2)}e${power}`;
    return text.replaceAll("-", MINUS);
  };
  let step = flow.step;
  let at = step;
  const tip = document.createElement("p");
  tip.className = "reading tip";
  tip.hidden = true;
  const live = document.createElement("p");
  live.className = "hidden";
  live.setAttribute("aria-live", "polite");
  document.body.append(tip, live);

  const place = (svg) => svg.dataset.across.split(" ").map(Number);
  const words = (k) => {
    const rows = [...holder.querySelectorAll(".trace")].map((g) => {
      const [mean, spread, one] = ["mean", "spread", "one"].map((name) => Number(g.dataset[name].split(" ")[k - 1]));
      return `${g.dataset.name}: unit ${flow.unit} ${three(one)}, all ${three(mean)} \u00b1 ${three(spread)}`;
    });
    return [`step ${k}: ${flow.steps[k - 1]}`, ...rows].join("\n");
  };
  const show = (k, x, y) => {
    at = k;
    for (const svg of traces) {
      const [left, each] = place(svg);
      svg.line ??= svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
      svg.line.setAttribute("class", "cross");
      svg.line.setAttribute("d", `M${left + (k - 0.5) * each} 0V${svg.viewBox.baseVal.height - 20}`);
    }
    tip.textContent = words(k);
    tip.hidden = false;
    const [wide, tall] = [tip.offsetWidth, tip.offsetHeight];
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - wide - 8)) + "px";
    tip.style.top = Math.max(8, y + 18 + tall > innerHeight ? y - tall - 12 : y + 18) + "px";
  };
  const hide = () => {
    tip.hidden = true;
    for (const svg of traces) svg.line?.setAttribute("d", "");
  };
  const set = (k) => {
    step = Math.max(2, Math.min(count, k));
    const cells = (svg) => [...svg.querySelectorAll(".cell")];
    const pairs = [...document.querySelectorAll(".panels")].map((p) => [...p.querySelectorAll("svg.cells-drawn")].flatMap(cells));
    for (const pair of pairs) {
      pair.forEach((cell, i) => {
        const now = step - pair.length + 1 + i;
        cell.dataset.step = now;
        for (const g of cell.querySelectorAll(".value")) {
          const value = flow.numbers[g.dataset.name][now - 1];
          g.dataset.value = value;
          const text = g.querySelector("text");
          const title = text.querySelector("title");
          title.textContent = `${flow.said[g.dataset.name].replaceAll("[t-1]", `[${now - 1}]`).replaceAll("[t]", `[${now}]`)} = ${value}`;
          text.replaceChildren(title, `${g.dataset.before} ${three(value)}`.trim());
        }
        for (const g of cell.querySelectorAll(".label")) {
          g.querySelector("text").textContent = g.dataset.form.replace("{-1}", now - 1).replace("{}", now);
        }
        for (const g of cell.querySelectorAll(".input")) {
          g.querySelector("text").textContent = flow.lines[now - 1][Number(g.dataset.line)];
        }
      });
    }
    for (const svg of traces) {
      const [left, each] = place(svg);
      const mark = svg.querySelector(".mark");
      mark.setAttribute("x", left + (step - 2) * each);
      mark.setAttribute("width", 2 * each);
    }
    live.textContent = `The drawing is of steps ${step - 1} and ${step}.`;
  };
  for (const svg of traces) {
    svg.setAttribute("tabindex", "0");
    const under = (e) => {
      const [left, each] = place(svg);
      const box = svg.getBoundingClientRect();
      const k = Math.floor((((e.clientX - box.left) * svg.viewBox.baseVal.width) / box.width - left) / each) + 1;
      return k >= 1 && k <= count ? k : 0;
    };
    svg.addEventListener("pointermove", (e) => (under(e) ? show(under(e), e.clientX, e.clientY) : hide()));
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("click", (e) => under(e) && set(under(e)));
    svg.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (by === undefined) return;
      e.preventDefault();
      at = Math.max(1, Math.min(count, step + by * (e.shiftKey ? 10 : 1)));
      set(at);
      const [left, each] = place(svg);
      const box = svg.getBoundingClientRect();
      show(step, box.left + ((left + step * each) * box.width) / svg.viewBox.baseVal.width, Math.max(box.top, 0) + 40);
    });
  }
})();

// A run's name or mark was clicked: whoever shows this page is told the run's id, and nothing else.
(() => {
  if (parent === window) return;
  document.addEventListener("click", (event) => {
    const opens = event.target.closest?.("[data-open]")?.dataset.open;
    if (opens) parent.postMessage({ open: opens }, "*");
  });
})();

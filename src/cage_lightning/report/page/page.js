"use strict";

// Tables: a click on a heading sorts by its column, numbers as numbers, empty cells last.

function keyOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sortBy(table, column) {
  const headings = [...table.tHead.rows[0].cells];
  const ascending = headings[column].getAttribute("aria-sort") !== "ascending";
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.every((row) => !Number.isNaN(Number(keyOf(row, column))));
  const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en");
  rows.sort((first, second) => {
    const [a, b] = [keyOf(first, column), keyOf(second, column)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return ascending ? compare(a, b) : compare(b, a);
  });
  table.tBodies[0].append(...rows);
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, column));
    heading.append(button);
  });
}

// Scores: only the rows of what is chosen, on request without the baselines.

const filters = document.getElementById("filters");

function filterScores() {
  const rows = [...document.querySelector("#scores table").tBodies[0].rows];
  const chosen = [...filters.querySelectorAll("select")].filter((select) => select.value);
  const noBaselines = document.getElementById("no-baselines")?.checked;
  for (const row of rows) {
    row.hidden =
      (noBaselines && row.classList.contains("baseline")) ||
      chosen.some((select) => row.dataset[select.name] !== select.value);
  }
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("filtered").textContent =
    shown < rows.length ? `${shown} of ${rows.length} rows are shown.` : "";
}

filters.addEventListener("change", filterScores);
filters.hidden = filters.querySelector("input, select") === null;
filterScores(); // a browser may remember what was chosen

// Configs: what differs between the two that are chosen.

const configs = JSON.parse(document.getElementById("data").textContent);
const one = document.getElementById("one");
const other = document.getElementById("other");

function showDifferences() {
  const [a, b] = [configs[one.value], configs[other.value]];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  const differing = keys.filter((key) => a[key] !== b[key]);
  const table = document.getElementById("diff");
  table.hidden = differing.length === 0;
  [one.value, other.value].forEach((name, i) => {
    table.tHead.rows[0].cells[i + 1].textContent = name;
  });
  table.tBodies[0].replaceChildren(
    ...differing.map((key) => {
      const row = document.createElement("tr");
      const heading = document.createElement("th");
      heading.scope = "row";
      heading.textContent = key;
      row.append(heading);
      for (const config of [a, b]) row.insertCell().textContent = config[key] ?? "(not there)";
      return row;
    }),
  );
  document.getElementById("differences").textContent =
    `${differing.length} of ${keys.length} settings differ.`;
}

for (const select of [one, other]) {
  select.append(...Object.keys(configs).map((name) => new Option(name)));
  select.addEventListener("change", showDifferences);
}
other.selectedIndex = Math.min(1, other.length - 1);
document.getElementById("compare").hidden = false;
showDifferences();

// A link to a run opens it.

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

addEventListener("hashchange", openTarget);
openTarget();

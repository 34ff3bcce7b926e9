// The map of the front page: choose indicator and period; one tab stop, arrow keys move, Enter opens the profile.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var K = window.KK, D = window.KK_VALUES;
  var map = document.getElementById("map"), legend = document.getElementById("legend"), readout = document.getElementById("readout");
  var indicator = document.getElementById("indicator"), year = document.getElementById("year");
  var areas = Array.from(map.querySelectorAll("a.area"));
  var place = {};
  D.municipalities.forEach(function (m, i) { place[m[0]] = i; });
  var FIRST = "employment_rate_non_western_pct";
  var state = { id: D.indicators[FIRST] ? FIRST : Object.keys(D.indicators)[0], at: null };
  var current = null;

  function names(i) { return D.municipalities[i][K.english() ? 2 : 1]; }
  function isOutcome() { return state.id.indexOf("expected:") === 0; }
  function chosen() { return isOutcome() ? D.outcomes[state.id.slice(9)] : D.indicators[state.id]; }
  function definition() { return window.KK_DEFINITIONS[isOutcome() ? state.id.slice(9) : state.id]; }
  function at() { return state.at === null ? chosen().periods.length - 1 : state.at; }
  function status(letter) { return K.pick(D.statuses[letter]) || letter; }

  function classOf(value, it) {
    var c = 0;
    while (c < it.breaks.length && value >= it.breaks[c]) { c += 1; }
    return c;
  }
  function scaled(c, count) { return count <= 1 ? 2 : Math.round(c * 4 / (count - 1)); }

  // What one municipality shows: its class on the map and its words.
  function look(i) {
    var it = chosen();
    if (isOutcome()) {
      var row = it.v[i];
      if (!row || !it.groups[row[0]]) { return { kind: row && row[0] === "s" ? "s" : "m", text: status(row && row[0] === "s" ? "s" : "m"), n: null }; }
      var text = K.pick(it.groups[row[0]]);
      if (row[1] !== null) {
        text += ": " + K.number(row[1], it.decimals, true) + " " + K.pick(it.gap);
        if (row[2] !== null) { text += " [" + K.number(row[2], it.decimals, true) + "; " + K.number(row[3], it.decimals, true) + "]"; }
      }
      return { kind: row[0] === "too_small" ? "m" : "a-" + row[0], text: text, n: row[4] };
    }
    var value = it.v[at()][i];
    if (typeof value === "string") { return { kind: value === "s" ? "s" : "m", text: status(value), n: null }; }
    var marked = it.marked[it.periods[at()] + "/" + D.municipalities[i][0]];
    return {
      kind: "q" + scaled(classOf(value, it), it.breaks.length + 1),
      text: K.number(value, it.decimals) + " " + K.pick(it.unit) + (marked ? " (" + status(marked) + ")" : ""),
      n: it.n ? it.n[at()][i] : null
    };
  }
  function source() {
    var d = definition();
    return d ? [d.producer, d.table].filter(Boolean).join(", ") : (K.english() ? "own calculation" : "egen beregning");
  }
  function when() { return isOutcome() ? K.pick(chosen().name) : K.pick(chosen().names[at()]); }

  function paint() {
    areas.forEach(function (a) {
      var i = place[a.dataset.c], seen = look(i), path = a.firstElementChild;
      a.setAttribute("class", "area " + seen.kind);
      path.setAttribute("fill", seen.kind === "s" ? "url(#p-s)" : "url(#p-m)");
      a.setAttribute("aria-label", names(i) + ": " + seen.text + (seen.n !== null && seen.n !== undefined ? ", n = " + K.number(seen.n, 0) : "") + ", " + when());
    });
    drawLegend();
    if (current) { read(current); }
  }
  function item(kind, text, count) {
    var li = document.createElement("li");
    var box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    box.setAttribute("width", "22");
    box.setAttribute("height", "16");
    box.setAttribute("aria-hidden", "true");
    var rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("width", "22");
    rect.setAttribute("height", "16");
    rect.setAttribute("fill", kind === "s" ? "url(#p-s)" : "url(#p-m)");
    box.setAttribute("class", "area " + kind);
    box.appendChild(rect);
    li.appendChild(box);
    li.appendChild(document.createTextNode(" " + text + " "));
    var small = document.createElement("span");
    small.className = "soft";
    small.textContent = "(" + count + ")";
    li.appendChild(small);
    return li;
  }
  function drawLegend() {
    var it = chosen(), counts = {};
    areas.forEach(function (a) { var k = look(place[a.dataset.c]).kind; counts[k] = (counts[k] || 0) + 1; });
    legend.textContent = "";
    var title = document.createElement("p");
    title.className = "legend-title";
    title.textContent = (isOutcome() ? K.pick(it.label) : K.pick(definition().label)) + ", " + when();
    legend.appendChild(title);
    var list = document.createElement("ul");
    if (isOutcome()) {
      ["better", "as_expected", "worse"].forEach(function (g) { list.appendChild(item("a-" + g, K.pick(it.groups[g]), counts["a-" + g] || 0)); });
    } else {
      for (var c = 0; c <= it.breaks.length; c += 1) {
        var kind = "q" + scaled(c, it.breaks.length + 1);
        var low = c ? K.number(it.breaks[c - 1], it.decimals) : null;
        var high = c < it.breaks.length ? K.number(it.breaks[c], it.decimals) : null;
        var text = low === null && high === null ? (K.english() ? "all values" : "alle v\u00e6rdier")
          : low === null ? (K.english() ? "below " : "under ") + high
          : high === null ? low + (K.english() ? " and above" : " og derover")
          : low + (K.english() ? " to below " : " til under ") + high;
        list.appendChild(item(kind, text, counts[kind] || 0));
      }
    }
    if (counts.s) { list.appendChild(item("s", status("s"), counts.s)); }
    if (counts.m) { list.appendChild(item("m", isOutcome() ? K.pick(it.groups.too_small) + " / " + status("m") : status("m"), counts.m)); }
    legend.appendChild(list);
    var unit = document.createElement("p");
    unit.className = "soft small";
    unit.textContent = K.pick(isOutcome() ? it.gap : it.unit);
    legend.appendChild(unit);
    document.getElementById("map-classes").hidden = isOutcome();
    var d = definition(), text = document.getElementById("map-definition");
    text.textContent = d ? K.pick(d.text) + " " : "";
    var link = document.createElement("a");
    link.href = "metode.html" + (K.english() ? "?lang=en" : "") + "#" + (isOutcome() ? "expected" : state.id);
    link.textContent = K.english() ? "Definition and source" : "Definition og kilde";
    text.appendChild(link);
  }
  function read(a) {
    var i = place[a.dataset.c], seen = look(i);
    readout.textContent = "";
    [["strong", names(i)], ["span", seen.text], ["span", (seen.n !== null && seen.n !== undefined ? "n = " + K.number(seen.n, 0) + " \u00b7 " : "") + when() + " \u00b7 " + source()]].forEach(function (pair, k) {
      var e = document.createElement(pair[0]);
      e.textContent = pair[1];
      if (k === 2) { e.className = "soft small"; }
      readout.appendChild(e);
    });
    current = a;
  }

  function option(value, text, into) {
    var o = document.createElement("option");
    o.value = value;
    o.textContent = text;
    into.appendChild(o);
  }
  function fill() {
    indicator.textContent = "";
    var groups = {};
    if (Object.keys(D.outcomes).length) {
      var g = document.createElement("optgroup");
      g.label = K.english() ? "Expected and observed" : "Forventet og faktisk";
      Object.keys(D.outcomes).forEach(function (key) { option("expected:" + key, K.pick(D.outcomes[key].label), g); });
      indicator.appendChild(g);
    }
    Object.keys(D.indicators).forEach(function (key) {
      var dim = D.indicators[key].dimension;
      if (!groups[dim]) {
        groups[dim] = document.createElement("optgroup");
        groups[dim].label = K.pick(D.dimensions[dim]);
        indicator.appendChild(groups[dim]);
      }
      option(key, K.pick(window.KK_DEFINITIONS[key].label), groups[dim]);
    });
    indicator.value = state.id;
    fillYears();
  }
  function fillYears() {
    year.textContent = "";
    if (isOutcome()) { option("0", K.pick(chosen().name), year); year.disabled = true; return; }
    chosen().names.forEach(function (name, i) { option(String(i), K.pick(name), year); });
    year.value = String(at());
    year.disabled = false;
  }
  function remember() {
    var hash = "#" + state.id + (state.at === null ? "" : "/" + chosen().periods[state.at]);
    try { history.replaceState(null, "", hash); } catch (error) { location.hash = hash; }
  }
  function recall() {
    var parts = decodeURIComponent(location.hash.slice(1)).split("/");
    var known = D.indicators[parts[0]] || (parts[0].indexOf("expected:") === 0 && D.outcomes[parts[0].slice(9)]);
    if (!known) { return; }
    state.id = parts[0];
    var found = known.periods ? known.periods.indexOf(parts[1]) : -1;
    state.at = found >= 0 ? found : null;
  }

  // One tab stop; arrow keys go to the nearest municipality in that direction.
  function go(from, dx, dy) {
    var x = Number(from.dataset.x), y = Number(from.dataset.y), best = null, least = Infinity;
    areas.forEach(function (a) {
      var ax = Number(a.dataset.x) - x, ay = Number(a.dataset.y) - y;
      var along = ax * dx + ay * dy, across = Math.abs(ax * dy) + Math.abs(ay * dx);
      if (a !== from && along > 0.5 && along >= across * 0.5) {
        var cost = along + 2 * across;
        if (cost < least) { least = cost; best = a; }
      }
    });
    if (best) { rove(best); best.focus(); }
  }
  function rove(a) {
    areas.forEach(function (other) { other.setAttribute("tabindex", other === a ? "0" : "-1"); });
  }
  var KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("keydown", function (e) {
    var a = e.target.closest("a.area");
    if (!a) { return; }
    if (KEYS[e.key]) { e.preventDefault(); go(a, KEYS[e.key][0], KEYS[e.key][1]); }
    if (e.key === "Home" || e.key === "End") {
      e.preventDefault();
      var to = areas[e.key === "Home" ? 0 : areas.length - 1];
      rove(to);
      to.focus();
    }
  });
  ["mouseover", "focusin"].forEach(function (name) {
    // On the box around the map: an SVG that listens for focus becomes a tab stop of its own.
    map.parentNode.addEventListener(name, function (e) {
      var a = e.target.closest("a.area");
      if (a) { read(a); if (name === "focusin") { rove(a); } }
    });
  });
  indicator.addEventListener("change", function () { state.id = indicator.value; state.at = null; fillYears(); remember(); paint(); });
  year.addEventListener("change", function () { state.at = Number(year.value); remember(); paint(); });
  window.addEventListener("hashchange", function () { recall(); fill(); paint(); });

  recall();
  rove(areas[0]);
  indicator.disabled = false;
  K.onLanguage(function () { fill(); paint(); });
});

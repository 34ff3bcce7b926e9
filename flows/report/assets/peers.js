// The peers of one municipality under weights the reader moves; the formula is that of mart.peer.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var K = window.KK, C = window.KK_CONDITIONS, frame = document.getElementById("weigh");
  if (!frame || !C) { return; }
  var own = frame.dataset.own, controls = document.getElementById("weigh-controls"), result = document.getElementById("weigh-result"), said = document.getElementById("weigh-said");
  var weights = C.weights.map(function (w) { return w.weight; });
  var names = {};
  window.KK_PLACES.forEach(function (p) { names[p[0]] = p; });

  function total(known) { return weights.reduce(function (sum, w, j) { return sum + (known(j) ? w : 0); }, 0); }
  function judged(code, all) { return total(function (j) { return C.values[code][j] !== null; }) / all >= C.least; }
  function nearest() {
    var all = total(function () { return true; }), mine = C.values[own];
    if (!mine || !(all > 0) || !judged(own, all)) { return null; }
    return Object.keys(C.values).sort().filter(function (code) { return code !== own && judged(code, all); }).map(function (code) {
      var sum = 0, shared = 0;
      C.values[code].forEach(function (value, j) {
        if (value === null || mine[j] === null) { return; }
        sum += weights[j] * Math.pow(value - mine[j], 2);
        shared += weights[j];
      });
      return [code, Math.sqrt(sum / shared), shared];
    }).filter(function (row) { return row[2] > 0; }).sort(function (a, b) { return a[1] - b[1] || (a[0] < b[0] ? -1 : 1); }).slice(0, C.peers);
  }
  var standard = (nearest() || []).map(function (row) { return row[0]; });

  function show() {
    var rows = nearest();
    result.textContent = "";
    if (!rows) {
      said.textContent = K.english() ? "Give at least one condition a weight." : "Giv mindst \u00e9t vilk\u00e5r en v\u00e6gt.";
      return;
    }
    var codes = rows.map(function (row) { return row[0]; });
    var fresh = codes.filter(function (code) { return standard.indexOf(code) < 0; }).length;
    said.textContent = K.english() ? fresh + " of " + rows.length + " differ from the mapping\u2019s peers." : fresh + " af " + rows.length + " er andre end kortl\u00e6gningens sammenligningskommuner.";
    rows.forEach(function (row) {
      var li = document.createElement("li"), a = document.createElement("a");
      a.href = row[0] + ".html" + (K.english() ? "?lang=en" : "");
      a.textContent = names[row[0]][K.english() ? 2 : 1];
      li.dataset.c = row[0];
      li.appendChild(a);
      li.appendChild(document.createTextNode(" " + K.number(row[1].toFixed(2), 2)));
      if (standard.indexOf(row[0]) < 0) {
        var mark = document.createElement("span");
        mark.className = "chip";
        mark.textContent = K.english() ? "new" : "ny";
        li.appendChild(document.createTextNode(" "));
        li.appendChild(mark);
      }
      result.appendChild(li);
    });
  }
  function draw() {
    controls.textContent = "";
    C.weights.forEach(function (w, j) {
      var field = document.createElement("div"), label = document.createElement("label"), range = document.createElement("input"), told = document.createElement("output");
      field.className = "field weight";
      range.type = "range";
      range.min = "0";
      range.max = "5";
      range.step = "0.5";
      range.value = String(weights[j]);
      range.id = "weight-" + j;
      label.htmlFor = range.id;
      label.textContent = K.pick(w.label);
      told.htmlFor = range.id;
      told.textContent = K.number(weights[j], 1);
      range.addEventListener("input", function () { weights[j] = Number(range.value); told.textContent = K.number(weights[j], 1); show(); });
      [label, range, told].forEach(function (e) { field.appendChild(e); });
      controls.appendChild(field);
    });
    show();
  }
  document.getElementById("weigh-reset").addEventListener("click", function () {
    weights = C.weights.map(function (w) { return w.weight; });
    draw();
  });
  K.onLanguage(draw);
});

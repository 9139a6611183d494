for (const figure of document.querySelectorAll("figure[data-compare]")) {
  const stage = figure.querySelector(".stage"), range = stage.querySelector("input");
  const words = [stage.querySelector(".l"), stage.querySelector(".r")];
  range.addEventListener("input", () => stage.style.setProperty("--at", range.value + "%"));
  const choose = (left, right) => {
    for (const image of stage.querySelectorAll("img")) {
      image.hidden = image.dataset.is !== left && image.dataset.is !== right;
      image.className = image.dataset.is === left ? "left" : "";
    }
    words[0].textContent = left; words[1].textContent = right;
    range.setAttribute("aria-label", "slider between " + left + " and " + right);
  };
  for (const radio of figure.querySelectorAll("[type=radio]"))
    radio.addEventListener("change", () => choose(...radio.value.split(" ")));
}

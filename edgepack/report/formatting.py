"""How is each quantity of a report written down for a person to read?"""

MINUS = "−"


def metric_name(metric: str) -> str:
    """The name of a figure of merit for people: "roc_auc" gives "ROC AUC"."""
    return {"roc_auc": "ROC AUC"}.get(metric, metric)


def unit_of(metric: str) -> str:
    """The unit of a column of figures of merit, which names them where they are no accuracies."""
    return "%" if metric == "accuracy" else f"{metric} %"


def sentence_start(text: str) -> str:
    """The text with a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def shortened(text: str, longest: int = 36) -> str:
    """The text, or as much of it as has room in a chart."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def significant(value: float, digits: int = 3) -> str:
    """A number with at least `digits` significant digits and no exponent.

    0.02134 gives "0.0213", 7.9 gives "7.90", 1234.5 gives "1,234" (whole digits are never rounded away).
    """
    # The exponent is taken after rounding, so that 9.996 gives "10.0" and not "10.00".
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1]) if value else digits - 1
    return _signed(f"{value:,.{min(max(digits - 1 - exponent, 0), 9)}f}")


def _signed(text: str) -> str:
    """The same digits with a true minus sign, and none at all on a zero."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def percent(fraction: float) -> str:
    """A fraction in [0, 1] as percent with two decimals, without the sign: 0.9796 gives "97.96"."""
    return _signed(f"{100 * fraction:,.2f}")


def points(value: float) -> str:
    """Percentage points with two decimals; a gain is negative."""
    return _signed(f"{value:,.2f}")


def seconds(value: float) -> str:
    """A duration in seconds, as "0.42 s", "12.1 s" or "3 min 05 s"."""
    if round(value) < 60:
        return f"{significant(value, 3 if value >= 1 else 2)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def count(value: int, noun: str) -> str:
    """A number with its noun: "1 layer", "4 layers", "12,345 parameters"."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def scalar(value: object) -> str:
    """Any value of a flat object, as text."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value, 4)
    return str(value)


def joined(items: list[str]) -> str:
    """A list as a sentence has it: "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


RUNTIME_NAMES = {
    "keras": "Keras",
    "litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
    "onnxruntime_gpu": "ONNX Runtime (GPU)",
    "openvino": "OpenVINO",
}


def runtime_name(runtime: str) -> str:
    """How a runtime calls itself; a runtime without an entry keeps its own name."""
    return RUNTIME_NAMES.get(runtime, runtime)


def compact(value: float) -> str:
    """A number of any size in few characters: whole ones without decimals, tiny ones with an exponent."""
    if value == round(value) and abs(value) < 1e9:
        return _signed(f"{value:,.0f}")
    if 1e-4 <= abs(value) < 1e9:
        text = significant(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{_signed(mantissa)}e{_signed(str(int(exponent)))}"


def limit_text(gate: str, value: float | None) -> str:
    """The value or the limit of a gate with the unit that its name tells.

    The unit is the name's end (`_kib`, `_mib`, `_ms`, `_s`); a gate about accuracy is a fraction, shown in
    points when it limits a drop and in percent otherwise.
    """
    if value is None:
        return "unknown"
    if "drop" in gate:
        return f"{points(100 * value)} points"
    if any(word in gate for word in ("accuracy", "agreement", "sparsity")):
        return f"{percent(value)} %"
    for suffix, unit in (("_kib", "KiB"), ("_mib", "MiB"), ("_ms", "ms"), ("_s", "s"), ("_db", "dB")):
        if gate.endswith(suffix):
            return f"{compact(value)} {unit}"
    return compact(value)

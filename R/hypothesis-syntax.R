# What a user may write for a hypothesis, as a matrix with a column a coefficient.

# list(L, rhs): L with row names. `dropped`: coefficients that were left out of the fit.
read_hypothesis <- function(L, rhs, names, dropped = NULL) {
  if (is.character(L) && !is.matrix(L)) {
    parts <- lapply(L, parse_hypothesis, names = names, dropped = dropped)
    matrix <- do.call(rbind, lapply(parts, function(part) part$weights))
    if (is.null(matrix)) abort_hypothesis("It has no element.")
    written <- vapply(parts, function(part) part$value, 0)
    if (!all(is.finite(matrix)) || any(is.nan(written) | is.infinite(written))) {
      abort_hypothesis("It has infinite values.")
    }
    rhs <- check_rhs(rhs, nrow(matrix))
    rhs[!is.na(written)] <- written[!is.na(written)]
    rownames(matrix) <- hypothesis_labels(matrix, names(L), names)
    return(list(L = matrix, rhs = rhs))
  }
  L <- hypothesis_matrix(L, names, dropped)
  rownames(L) <- hypothesis_labels(L, rownames(L), names)
  list(L = L, rhs = check_rhs(rhs, nrow(L)))
}

hypothesis_matrix <- function(L, names, dropped) {
  if (is.data.frame(L)) L <- as.matrix(L)
  if (!is.numeric(L) || length(dim(L)) > 2L) {
    abort_hypothesis("It is {.obj_type_friendly {L}}.", L)
  }
  if (is.null(dim(L))) L <- matrix(L, 1L, dimnames = list(NULL, names(L)))
  if (nrow(L) == 0L) abort_hypothesis("It has no row.")
  if (!all(is.finite(L))) abort_hypothesis("It has missing or infinite values.")
  zero <- which(rowSums(L != 0) == 0)
  if (length(zero)) {
    abort_hypothesis("It has nothing but zeros in {describe_rows(zero)}.", zero = zero)
  }
  given <- colnames(L)
  if (!is.null(given) && all(nzchar(given)) && !anyDuplicated(given)) {
    lapply(setdiff(given, names), abort_coefficient, names = names, dropped = dropped)
    whole <- matrix(0, nrow(L), length(names), dimnames = list(rownames(L), names))
    whole[, given] <- L
    return(whole)
  }
  if (ncol(L) != length(names)) {
    n <- length(names)
    reason <- "It has {ncol(L)} column{?s} for {n} coefficient{?s}: {.val {names}}."
    abort_hypothesis(reason, L, n, names)
  }
  colnames(L) <- names
  L
}

# `reason` may speak of the other arguments.
abort_hypothesis <- function(reason, L = NULL, n = NULL, names = NULL, zero = NULL) {
  pp_abort("argument", c(
    x = "{.arg L} must be a numeric matrix or vector of weights of the coefficients, or text.",
    i = reason
  ))
}

abort_coefficient <- function(name, names, dropped) {
  if (name %in% dropped) {
    pp_abort("argument", c(
      x = "{.val {name}} cannot be tested: it was dropped from the fit.",
      i = "That column of the model matrix is a linear combination of others."
    ))
  }
  pp_abort("argument", c(
    x = "{.arg L} names a coefficient that is not there: {.val {name}}.",
    i = "The coefficients are {.val {names}}.",
    suggest_name(name, names)
  ))
}

check_rhs <- function(rhs, n) {
  if (!is.numeric(rhs) || !length(rhs) %in% c(1L, n) || !all(is.finite(rhs))) {
    pp_abort("argument", c(
      x = "{.arg rhs} must be one finite number, or one for each of the {n} hypotheses.",
      i = "It is {.val {rhs}}."
    ))
  }
  rep_len(as.numeric(rhs), n)
}

# A row in words where it has no name: "2 * Days + (Intercept)".
hypothesis_labels <- function(L, given, names) {
  words <- apply(L, 1L, contrast_label, names = names)
  if (is.null(given)) given <- rep("", nrow(L))
  ifelse(nzchar(given), given, words)
}

contrast_label <- function(weights, names) {
  used <- which(weights != 0)
  if (length(used) == 0L) {
    return("0")
  }
  w <- weights[used]
  size <- ifelse(abs(w) == 1, "", paste0(vapply(abs(w), format, "", digits = 4L), "*"))
  sign <- ifelse(w < 0, " - ", " + ")
  sign[1L] <- if (w[1L] < 0) "-" else ""
  paste0(sign, size, names[used], collapse = "")
}

# Text ---------------------------------------------------------------------------------------------

# list(weights, value): of "a - 2*b = 3"; value NA without an equals sign.
parse_hypothesis <- function(text, names, dropped) {
  if (is.na(text) || !nzchar(trimws(text))) abort_hypothesis("An element is empty.")
  marked <- mark_names(text, c(names, dropped))
  # A blank, so that an empty right side is one.
  sides <- strsplit(paste0(marked$text, " "), "=+")[[1L]]
  if (length(sides) > 2L) abort_unreadable(text, "It has more than one equals sign.")
  parts <- lapply(sides, read_side, names = names, dropped = dropped, marked = marked, whole = text)
  left <- parts[[1L]]
  right <- if (length(parts) == 2L) parts[[2L]] else c(numeric(length(names)), NA_real_)
  n <- length(names)
  weights <- left[seq_len(n)] - right[seq_len(n)]
  value <- right[n + 1L] - left[n + 1L]
  if (is.na(value) && left[n + 1L] != 0) value <- -left[n + 1L]
  if (all(weights == 0)) abort_unreadable(text, "It has no coefficient in it.")
  list(weights = stats::setNames(weights, names), value = value)
}

# Names of coefficients replaced by symbols, the longest first, so that "(Intercept)" and "a:b" can
# stand unquoted; what is in backticks after that is a name as it is.
mark_names <- function(text, names) {
  symbols <- character()
  put <- function(name) {
    key <- paste0(".coefficient", length(symbols) + 1L, ".")
    symbols[[key]] <<- name
    key
  }
  # Backticks of a name may be left out.
  bare <- gsub("`", "", names)
  known <- c(stats::setNames(names, names), stats::setNames(names, bare)[!bare %in% names])
  for (written in names(known)[order(-nchar(names(known)))]) {
    at <- name_positions(text, written)
    if (length(at) == 0L) next
    key <- put(known[[written]])
    for (start in rev(at)) {
      after <- substr(text, start + nchar(written), nchar(text))
      text <- paste0(substr(text, 1L, start - 1L), key, after)
    }
  }
  list(text = text, symbols = symbols)
}

# Where a name stands as a whole, not as a part of a longer word.
name_positions <- function(text, name) {
  at <- gregexpr(name, text, fixed = TRUE)[[1L]]
  at <- as.vector(at)[at > 0L]
  if (length(at) == 0L) {
    return(at)
  }
  word <- "[[:alnum:]._]"
  before <- substring(text, at - 1L, at - 1L)
  after <- substring(text, at + nchar(name), at + nchar(name))
  inside <- grepl(paste0("^", word), name) & grepl(word, before) |
    grepl(paste0(word, "$"), name) & grepl(word, after)
  at[!inside]
}

# Weights of the coefficients and, last, the constant of one side.
read_side <- function(side, names, dropped, marked, whole) {
  expression <- tryCatch(parse(text = side, keep.source = FALSE), error = function(e) NULL)
  if (length(expression) != 1L) abort_unreadable(whole, "It is not an arithmetic expression.")
  linear_weights(expression[[1L]], names, dropped, marked$symbols, whole)
}

linear_weights <- function(e, names, dropped, symbols, whole) {
  n <- length(names)
  constant <- function(value) c(numeric(n), value)
  recurse <- function(part) linear_weights(part, names, dropped, symbols, whole)
  is_constant <- function(weights) all(weights[seq_len(n)] == 0)
  if (is.numeric(e)) {
    if (!is.finite(e)) abort_unreadable(whole, "It has an infinite number in it.")
    return(constant(as.numeric(e)))
  }
  if (is.symbol(e)) {
    name <- as.character(e)
    if (name %in% names(symbols)) name <- symbols[[name]]
    at <- match(name, names)
    if (is.na(at)) abort_coefficient(name, names, dropped)
    return(replace(constant(0), at, 1))
  }
  operator <- if (is.call(e) && is.symbol(e[[1L]])) as.character(e[[1L]]) else ""
  arguments <- as.list(e)[-1L]
  known <- operator %in% c("+", "-", "*", "/", "(") && length(arguments) %in% 1:2
  if (!known) abort_unreadable(whole, "Only sums of numbers times coefficients are understood.")
  values <- lapply(arguments, recurse)
  if (length(values) == 1L) {
    return(switch(operator, "-" = -values[[1L]], "+" = , "(" = values[[1L]],
      abort_unreadable(whole, "An operand is missing.")
    ))
  }
  a <- values[[1L]]
  b <- values[[2L]]
  switch(operator,
    "+" = a + b, "-" = a - b,
    "*" = {
      if (!is_constant(a) && !is_constant(b)) abort_unreadable(whole, "It is not linear.")
      if (is_constant(a)) a[n + 1L] * b else b[n + 1L] * a
    },
    "/" = {
      if (!is_constant(b)) abort_unreadable(whole, "It is not linear.")
      if (b[n + 1L] == 0) abort_unreadable(whole, "It divides by zero.")
      a / b[n + 1L]
    }
  )
}

abort_unreadable <- function(text, reason) {
  pp_abort("argument", c(
    x = "The hypothesis {.val {text}} cannot be read.",
    i = reason,
    ">" = "Write it like {.val a - b = 0}, with names of coefficients, or give a matrix."
  ))
}

# The response of a generalised model, by family: what values it may have, and how they are coded.

# list(y, trials, weights) of a response column of the frame. `levels` are those that a factor had
# in the data, used or not; `rows` the names of the rows; `zeros`: does a zero-inflation part allow
# zeros that the family itself does not have?
family_response <- function(y, label, family, weights = NULL, levels = NULL, rows = seq_along(y),
                            zeros = FALSE, advise = TRUE) {
  response <- traits_of(family)$response
  if (response == "proportion") {
    parts <- binomial_response(y, label, weights, levels, rows, advise)
    if (family$family == "betabinomial") check_beta_trials(parts$trials, label)
    return(parts)
  }
  y <- check_response(y, label)
  check_support(y, response, label, family, rows, zeros)
  if (grepl("count", response)) warn_non_integer(y, label, rows, advise)
  list(y = y, trials = NULL, weights = weights)
}

# Counts, positive values, values between 0 and 1 ------------------------------------------------

check_support <- function(y, response, label, family, rows, zeros) {
  inside <- switch(response,
    count = , "not negative" = y >= 0,
    positive = , "positive count" = if (zeros) y >= 0 else y > 0,
    unit = (if (zeros) y >= 0 else y > 0) & y < 1,
    TRUE
  )
  # A value that is missing or infinite has an error of its own.
  outside <- which(!inside)
  if (length(outside)) {
    abort_support(y, response, label, family, rows, outside)
  }
}

abort_support <- function(y, response, label, family, rows, outside) {
  where <- describe_rows(rows[outside])
  values <- signif(unique(utils::head(y[outside], 3L)), 4L)
  negative <- any(y[outside] < 0)
  name <- family$family
  wanted <- switch(response,
    positive = "be positive", "positive count" = "be a positive count",
    unit = "lie between 0 and 1", "not be negative"
  )
  pp_abort("response", c(
    x = if (negative && response != "unit") {
      "Negative values not allowed for the {.val {name}} family: the response {.code {label}}."
    } else {
      "The response {.code {label}} must {wanted} for the {.val {name}} family."
    },
    i = "It holds {.val {values}} in {where}.",
    ">" = if (!negative) support_hint(response, y[outside])
  ), rows = outside)
}

support_hint <- function(response, values) {
  switch(response,
    positive = "{.fn tweedie} has exact zeros; {.code ziformula = ~1} models them apart.",
    "positive count" = "Zeros need the family without truncation, or {.code ziformula = ~1}: a
                        hurdle model.",
    unit = if (all(values == 0)) {
      "Zeros can be modelled apart: {.code ziformula = ~1}."
    } else {
      "Proportions that can be exactly 0 or 1 are mostly successes of so many trials: see
       {.fn binomial} and {.fn betabinomial}."
    }
  )
}

warn_non_integer <- function(y, label, rows, advise) {
  off <- which(abs(y - round(y)) > 1e-7 * pmax(1, abs(y)))
  if (advise && length(off)) {
    where <- describe_rows(rows[off])
    pp_warn("response", c(
      "!" = "The response {.code {label}} has non-integer counts: in {where}.",
      i = "The likelihood is continued to real numbers by the gamma function.",
      ">" = "A rate is better modelled as a count with {.code offset(log(exposure))}."
    ))
  }
}

# Binomial ----------------------------------------------------------------------------------------

# y is the proportion of successes. A matrix holds successes and failures, and weights stay prior
# weights; otherwise weights are the numbers of trials.
binomial_response <- function(y, label, weights, levels, rows, advise) {
  if (is.matrix(y) && ncol(y) > 1L && !inherits(y, "Surv")) {
    return(c(counts_response(y, label, rows, advise), list(weights = weights)))
  }
  y <- success_indicator(y, label, levels)
  outside <- which(y < 0 | y > 1)
  if (length(outside)) {
    abort_not_proportion(y, label, rows, outside)
  }
  warn_non_integer_successes(y, weights, label, rows, advise)
  list(y = y, trials = weights, weights = NULL)
}

# cbind(successes, failures).
counts_response <- function(y, label, rows, advise) {
  if (!is.numeric(y) || ncol(y) != 2L) {
    pp_abort("response", c(
      x = "The response {.code {label}} must have two columns: successes and failures.",
      i = if (is.numeric(y)) "It has {ncol(y)}." else "It is not numeric.",
      ">" = "Write {.code cbind(successes, failures)}, or {.code cbind(successes, trials -
             successes)}."
    ))
  }
  for (k in 1:2) {
    negative <- which(y[, k] < 0)
    if (length(negative)) {
      what <- c("successes", "failures")[k]
      where <- describe_rows(rows[negative])
      pp_abort("response", c(
        x = "The response {.code {label}} has negative {what} in {where}.",
        i = if (k == 2L) "Failures are trials less successes: more successes than trials there."
      ), rows = negative)
    }
  }
  trials <- as.numeric(y[, 1L] + y[, 2L])
  empty <- which(trials == 0)
  if (length(empty)) {
    where <- describe_rows(rows[empty])
    pp_abort("response", c(x = "The response {.code {label}} has no trials in {where}."))
  }
  share <- as.numeric(y[, 1L]) / trials
  warn_non_integer_successes(share, trials, label, rows, advise)
  list(y = share, trials = trials)
}

# Numbers as they are; TRUE, the second level of a factor or the second value of text is a success.
success_indicator <- function(y, label, levels) {
  if (is.factor(y) || is.character(y)) {
    return(second_value(y, label, levels))
  }
  check_response(y, label)
}

second_value <- function(y, label, levels) {
  values <- if (is.factor(y)) levels(y) else sort(unique(y))
  if (length(values) == 1L && length(levels) == 2L) values <- levels
  if (length(values) != 2L) {
    what <- if (is.factor(y)) "level" else "value"
    pp_abort("response", c(
      x = if (length(values) == 1L) {
        "The response {.code {label}} is constant: it has the one {what} {.val {values}}."
      } else {
        "The response {.code {label}} must have two {what}s: it has {length(values)}, {.val
         {values}}."
      },
      i = "The first {what} is failure, the second success.",
      ">" = if (length(values) > 2L) {
        "Say which is a success, as in {.code {label} == \"{values[2L]}\"}."
      }
    ))
  }
  as.numeric(as.character(y) == values[2L])
}

abort_not_proportion <- function(y, label, rows, outside) {
  where <- describe_rows(rows[outside])
  values <- sort(unique(y))
  shown <- signif(utils::head(unique(y[outside]), 3L), 4L)
  pp_abort("response", c(
    x = "In a binomial model y values must be 0 <= y <= 1: the response {.code {label}}.",
    i = "It holds {.val {shown}} in {where}.",
    ">" = if (length(values) == 2L) {
      "For a response of the two values {.val {values}} write {.code {label} == {values[2L]}}."
    } else if (all(y >= 0)) {
      "Counts of successes need the failures too: {.code cbind(successes, failures)}."
    }
  ), rows = outside)
}

warn_non_integer_successes <- function(y, trials, label, rows, advise) {
  successes <- if (is.null(trials)) y else y * trials
  off <- which(abs(successes - round(successes)) > 1e-3)
  if (advise && length(off)) {
    where <- describe_rows(rows[off])
    pp_warn("response", c(
      "!" = "non-integer #successes in a binomial glm: {.code {label}} in {where}.",
      i = "The likelihood is continued to real numbers by the gamma function.",
      ">" = if (is.null(trials)) {
        "If {.code {label}} is a proportion, give the numbers of trials as {.arg weights}."
      }
    ))
  }
}

check_beta_trials <- function(trials, label) {
  if (is.null(trials) || all(trials <= 1)) {
    pp_abort("identifiability", c(
      x = "The response {.code {label}} has one trial a row: it cannot vary more than binomially.",
      i = "The dispersion of {.fn betabinomial} is not determined by such data.",
      ">" = "Use {.fn binomial}."
    ))
  }
}

# Of the whole -----------------------------------------------------------------------------------

# Without variation a discrete response has a likelihood all the same, a density has none.
check_constant_family_response <- function(design, advise) {
  y <- design$y
  value <- y[1L]
  if (length(y) < 2L || any(y != value)) {
    return(invisible())
  }
  traits <- traits_of(design$family)
  label <- label_of(design$formula[[2L]])
  if (!traits$discrete) {
    if (is.null(design$offset)) {
      pp_abort("response", c(
        x = "The response {.code {label}} is constant.",
        i = "Every row has the value {.val {value}}: there is no variance to model."
      ))
    }
    return(invisible())
  }
  if (advise && (traits$response != "proportion" || value %in% 0:1)) {
    pp_warn("response", c(
      "!" = "The response {.code {label}} is constant: every row has the value {.val {value}}.",
      i = "Nothing can be learnt about the variances of the random effects."
    ))
  }
}

# A density has no bound where each group has an effect and no variation within.
check_constant_groups <- function(design) {
  if (traits_of(design$family)$discrete || !is.null(design$offset)) {
    return(invisible())
  }
  y <- design$y
  for (term in Filter(Negate(has_kernel), design$random)) {
    J <- length(term$levels)
    if ("(Intercept)" %in% term$columns && J < length(y)) {
      first <- y[match(seq_len(J), term$codes)]
      if (all(y == first[term$codes])) {
        abort_exact(design, "It does not vary within the levels of {.var {group}}.", term$group)
      }
    }
  }
}

abort_exact <- function(design, reason, group = NULL) {
  label <- label_of(design$formula[[2L]])
  pp_abort("fit", c(
    x = "The dispersion is zero: the model fits the response {.code {label}} exactly.",
    i = reason,
    ">" = if (is.null(group)) {
      "Look for a copy of the response among the predictors, or for a simulated response without
       noise."
    } else {
      "Use one row a level and a model without that random term."
    }
  ))
}

# One trial a row, all or nothing.
is_binary <- function(x) {
  x$family$family == "binomial" && (is.null(x$trials) || all(x$trials == 1)) &&
    all(x$y == 0 | x$y == 1)
}

# Rows of cbind(successes, failures) without trials, before any row is left out; NULL if the
# response is not of that kind.
rows_without_trials <- function(response, data, env) {
  y <- tryCatch(eval(response, data, env), error = function(e) NULL)
  # A survival time is a matrix of two columns as well, without arithmetic
  if (is.matrix(y) && is.numeric(y) && ncol(y) == 2L && !inherits(y, "Surv")) {
    rowSums(abs(y)) == 0
  }
}

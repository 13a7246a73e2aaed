#' Terms of a mixed-model formula
#'
#' Reads a mixed-model formula without data and lists its fixed and random terms, expanded: `a * b`
#' into `a`, `b` and `a:b`, `(1 | a/b)` into a term for `b:a` and one for `a`. Useful to see what a
#' formula means before it is fitted, and to find out that it cannot be read.
#'
#' @param f A formula, or a character string that holds one. A one-sided formula will do.
#' @return A list with elements
#'   \item{response}{character: the response as written, or `character(0)`.}
#'   \item{fixed}{character: labels of the fixed-effects terms in R's order, offsets left out.}
#'   \item{intercept}{logical: does the fixed part have an intercept?}
#'   \item{random}{character: one string a random-effects term, such as `"Days | Subject"`.}
#' @section Errors:
#' `partialpool_error_formula` if the formula cannot be read, `partialpool_error_random` if a
#' random-effects term cannot.
#' @examples
#' check_formula(y ~ a * b * c + (1 | g))
#' check_formula("strength ~ 1 + (1 | batch/cask)")$random
#' check_formula(y ~ a - 1 + (x || g))
#' @export
check_formula <- function(f) {
  f <- as_model_formula(f, parent.frame())
  split <- split_formula(f, need_response = FALSE)
  if ("." %in% all.names(split$fixed)) {
    pp_abort("formula", c(
      x = "{.code .} in a formula stands for the columns of a data frame, and there is none here."
    ))
  }
  fixed <- stats::terms(make_formula(split$fixed, env = environment(f)))
  list(
    response = if (is.null(split$response)) character() else label_of(split$response),
    fixed = attr(fixed, "term.labels"),
    intercept = attr(fixed, "intercept") == 1L,
    random = vapply(split$bars, function(bar) label_of(bar$expr), "")
  )
}

# A formula, or the text of one, with an environment.
as_model_formula <- function(formula, env) {
  if (is.character(formula)) {
    formula <- parse_formula(formula, env)
  }
  is_tilde <- is.call(formula) && identical(formula[[1L]], quote(`~`))
  if (!inherits(formula, "formula") && !is_tilde) {
    pp_abort("formula", c(
      x = "{.arg formula} must be a formula such as {.code y ~ x + (1 | g)}.",
      i = "It is {.obj_type_friendly {formula}}."
    ))
  }
  if (is.null(environment(formula))) {
    formula <- make_formula(formula[[length(formula)]], response_of(formula), env)
  }
  formula
}

parse_formula <- function(text, env) {
  text <- paste(text, collapse = " ")
  tryCatch(
    stats::as.formula(text, env = env),
    error = function(e) {
      reason <- conditionMessage(e)
      pp_abort("formula", c(
        x = "{.arg formula} cannot be read as a formula: {.val {text}}.",
        i = "{reason}"
      ))
    }
  )
}

# The pieces of a formula: response and fixed part as language (the fixed part is 1 if there is
# none), and `bars`, a list of random terms as parse_bar() makes them, nested groups expanded.
split_formula <- function(formula, need_response = TRUE) {
  response <- response_of(formula)
  if (need_response && is.null(response)) {
    pp_abort("formula", c(
      x = "The formula needs a response on the left of {.code ~}.",
      i = "It is one-sided: {.code {label_of(formula)}}."
    ))
  }
  rhs <- formula[[length(formula)]]
  split <- if (has_bar(rhs)) split_sum(rhs, formula) else list(fixed = rhs, bars = list())
  bars <- lapply(split$bars, parse_bar, env = environment(formula))
  list(
    response = response,
    fixed = if (is.null(split$fixed)) 1 else split$fixed,
    bars = unlist(bars, recursive = FALSE)
  )
}

# Walks the sum on the right-hand side. A bar inside any other function, such as I(a | b), is R's
# "or" and stays in the fixed part.
split_sum <- function(e, formula) {
  if (is_bar(e)) {
    abort_missing_parentheses(e, formula)
  }
  if (is_bar_term(e)) {
    return(list(fixed = NULL, bars = list(e)))
  }
  if (!is.call(e) || !has_bar(e)) {
    return(list(fixed = e, bars = list()))
  }
  operator <- if (is.symbol(e[[1L]])) as.character(e[[1L]]) else ""
  switch(operator,
    "(" = {
      inner <- split_sum(e[[2L]], formula)
      list(fixed = if (!is.null(inner$fixed)) call("(", inner$fixed), bars = inner$bars)
    },
    "+" = if (length(e) == 2L) split_sum(e[[2L]], formula) else split_plus(e, formula),
    "-" = split_minus(e, formula),
    "*" = , ":" = , "/" = , "^" = , "%in%" = {
      if (holds_bar_term(e)) {
        abort_not_added(e, operator)
      }
      list(fixed = e, bars = list())
    },
    list(fixed = e, bars = list())
  )
}

split_plus <- function(e, formula) {
  left <- split_sum(e[[2L]], formula)
  right <- split_sum(e[[3L]], formula)
  fixed <- if (is.null(left$fixed)) {
    right$fixed
  } else if (is.null(right$fixed)) {
    left$fixed
  } else {
    call("+", left$fixed, right$fixed)
  }
  list(fixed = fixed, bars = c(left$bars, right$bars))
}

split_minus <- function(e, formula) {
  removed <- e[[length(e)]]
  if (holds_bar_term(removed)) {
    abort_not_added(e, "-")
  }
  if (length(e) == 2L) {
    return(list(fixed = e, bars = list()))
  }
  left <- split_sum(e[[2L]], formula)
  fixed <- if (is.null(left$fixed)) call("-", removed) else call("-", left$fixed, removed)
  list(fixed = fixed, bars = left$bars)
}

# (x | g), (x || g), cs(x | g), ...
is_bar_term <- function(e) {
  if (!is.call(e) || length(e) < 2L || !is.symbol(e[[1L]])) {
    return(FALSE)
  }
  head <- as.character(e[[1L]])
  inner <- e[[2L]]
  if (head == "(") {
    return(is_bar(inner) || (is.call(inner) && identical(inner[[1L]], e[[1L]]) &&
      is_bar_term(inner)))
  }
  (head %in% names(structure_names) || head %in% foreign_structures) && is_bar(strip_parens(inner))
}

is_bar <- function(e) {
  is.call(e) && (identical(e[[1L]], quote(`|`)) || identical(e[[1L]], quote(`||`)))
}

has_bar <- function(e) any(c("|", "||") %in% all.names(e))

# Is there a random term among the operands of formula operators?
holds_bar_term <- function(e) {
  if (is_bar_term(e)) {
    return(TRUE)
  }
  if (!is.call(e) || !is.symbol(e[[1L]])) {
    return(FALSE)
  }
  operators <- c("+", "-", "*", ":", "/", "^", "%in%", "(")
  as.character(e[[1L]]) %in% operators && any(vapply(as.list(e)[-1L], holds_bar_term, NA))
}

abort_missing_parentheses <- function(bar, formula) {
  lhs <- bar[[2L]]
  term <- bar
  fixed <- quote(1)
  if (is.call(lhs) && identical(lhs[[1L]], quote(`+`)) && length(lhs) == 3L) {
    fixed <- lhs[[2L]]
    term[[2L]] <- lhs[[3L]]
  }
  wanted <- formula
  wanted[[length(wanted)]] <- call("+", fixed, call("(", term))
  pp_abort("formula", c(
    x = "Parentheses are missing around a random-effects term.",
    i = paste(
      "{.code +} binds before {.code |}: all of {.code {label_of(lhs)}} stands on the left of the",
      "bar, and nothing is left for the fixed effects."
    ),
    ">" = "Did you mean {.code {label_of(wanted)}}?"
  ))
}

abort_not_added <- function(e, operator) {
  pp_abort("formula", c(
    x = "A random-effects term can only be added to a formula with {.code +}.",
    i = "Here it is an operand of {.code {operator}}: {.code {label_of(e)}}."
  ))
}

response_of <- function(formula) if (length(formula) == 3L) formula[[2L]]

make_formula <- function(rhs, lhs = NULL, env) {
  formula <- if (is.null(lhs)) call("~", rhs) else call("~", lhs, rhs)
  structure(formula, class = "formula", .Environment = env)
}

strip_parens <- function(e) {
  while (is.call(e) && identical(e[[1L]], quote(`(`))) {
    e <- e[[2L]]
  }
  e
}

# The text of an expression, as model.frame() names its columns: a symbol without backticks.
label_of <- function(e) {
  if (is.symbol(e)) {
    return(as.character(e))
  }
  paste(trimws(deparse(e, width.cutoff = 500L, backtick = TRUE), "left"), collapse = " ")
}

sum_of <- function(terms) Reduce(function(a, b) call("+", a, b), terms)

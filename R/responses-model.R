# What the responses of a mass-univariate fit are, and a formula without them.

# list(Y, formula, data, label): the responses as a matrix, and formula and data with the number of
# the row in their place, so that the design says which rows it used.
response_model <- function(formula, data, responses, env) {
  formula <- as_model_formula(formula, env)
  home <- environment(formula)
  left <- response_of(formula)
  data <- response_data(data)
  Y <- if (is.character(responses) && is.null(dim(responses))) {
    columns_named(responses, data)
  } else if (is.null(responses)) {
    evaluated_responses(left, data, home)
  } else {
    responses
  }
  label <- if (is.null(responses)) label_of(left) else "responses"
  Y <- response_matrix(Y, label)
  if (is.null(data)) data <- data.frame(row.names = seq_len(nrow(Y)))
  if (nrow(data) != nrow(Y)) {
    pp_abort("response", c(
      x = "The responses have {nrow(Y)} row{?s}, the data {nrow(data)}.",
      ">" = "Give one value a row of {.arg data}, in the order of the rows."
    ))
  }
  right <- formula[[length(formula)]]
  if ("." %in% all.names(right)) {
    taken <- c(all.vars(left), if (is.character(responses)) responses)
    data <- data[setdiff(names(data), taken)]
  }
  # Row names say later which rows a fit used.
  row.names(data) <- NULL
  data[[row_number]] <- seq_len(nrow(Y))
  list(
    Y = Y, formula = make_formula(right, as.name(row_number), home), data = data, label = label,
    right = right
  )
}

# The name of a column that data are not likely to have.
row_number <- ".row_of_response"

response_data <- function(data) {
  if (is.null(data) || is.data.frame(data)) {
    return(if (!is.null(data)) as.data.frame(data, optional = TRUE))
  }
  if (is.environment(data) || !(is.list(data) || is.matrix(data))) {
    pp_abort("data", c(
      x = "{.arg data} must be a data frame.", i = "It is {.obj_type_friendly {data}}."
    ))
  }
  as.data.frame(data, optional = TRUE)
}

columns_named <- function(names, data) {
  absent <- setdiff(names, names(data))
  if (length(absent)) {
    pp_abort("response", c(
      x = "{.arg data} has no column{?s} {.var {absent}}, which {.arg responses} names.",
      suggest_name(absent[1L], names(data))
    ))
  }
  data[names]
}

evaluated_responses <- function(left, data, env) {
  if (is.null(left)) {
    pp_abort("formula", c(
      x = "The formula has no responses on the left of {.code ~}.",
      ">" = "Write {.code cbind(y1, y2) ~ ...}, or give {.arg responses}."
    ))
  }
  tryCatch(
    eval(left, data, env),
    error = function(e) {
      reason <- escape_braces(conditionMessage(e))
      pp_abort("response", c(x = "The responses {.code {label_of(left)}} cannot be computed.",
                             i = reason))
    }
  )
}

# A matrix of doubles with a name a column.
response_matrix <- function(Y, label) {
  numeric <- if (is.data.frame(Y)) {
    all(vapply(Y, function(y) is.numeric(y) || is.logical(y), NA))
  } else {
    is.numeric(Y) || is.logical(Y)
  }
  if (!numeric || length(dim(Y)) > 2L) {
    pp_abort("response", c(
      x = "The responses {.code {label}} must be a numeric matrix, a column a response.",
      i = "They are {.obj_type_friendly {Y}}."
    ))
  }
  Y <- as.matrix(Y)
  storage.mode(Y) <- "double"
  dimnames(Y) <- list(NULL, colnames(Y))
  if (ncol(Y) == 0L) {
    pp_abort("response", c(x = "There are no responses: {.code {label}} has no column."))
  }
  names <- colnames(Y)
  if (is.null(names)) names <- rep("", ncol(Y))
  if (ncol(Y) == 1L && label != "responses") names <- label
  unnamed <- is.na(names) | !nzchar(names)
  names[unnamed] <- paste0("y", seq_len(ncol(Y)))[unnamed]
  colnames(Y) <- names
  if (anyDuplicated(colnames(Y))) colnames(Y) <- make.unique(colnames(Y))
  Y
}

# Rows of the responses that a fit used, as refit() takes them.
response_rows <- function(Y, fit) {
  dropped <- fit$na.action
  if (length(dropped) && nrow(Y) == fit$n + length(dropped)) Y <- Y[-dropped, , drop = FALSE]
  if (nrow(Y) != fit$n) {
    pp_abort("response", c(
      x = "{.arg responses} must have {fit$n} row{?s}, one a row used in the fit.",
      i = "It has {nrow(Y)}."
    ))
  }
  Y
}

# Columns in groups with missing values in the same rows: a list of list(columns, rows).
by_missing_rows <- function(Y) {
  n <- nrow(Y)
  incomplete <- which(colSums(is.na(Y)) > 0)
  groups <- list()
  whole <- setdiff(seq_len(ncol(Y)), incomplete)
  if (length(whole)) groups <- list(list(columns = whole, rows = seq_len(n)))
  if (!length(incomplete)) {
    return(groups)
  }
  key <- vapply(incomplete, function(j) toString(which(is.na(Y[, j]))), "")
  more <- lapply(unname(split(incomplete, factor(key, unique(key)))), function(columns) {
    list(columns = columns, rows = which(!is.na(Y[, columns[1L]])))
  })
  c(groups, more)
}

# A design of some of its rows: levels that do not occur there are dropped.
design_rows <- function(design, rows) {
  X <- design$X[rows, , drop = FALSE]
  attr(X, "assign") <- attr(design$X, "assign")
  attr(X, "contrasts") <- attr(design$X, "contrasts")
  design$X <- X
  design$y <- design$y[rows]
  design$frame <- design$frame[rows, , drop = FALSE]
  for (part in c("weights", "offset")) {
    if (!is.null(design[[part]])) design[[part]] <- design[[part]][rows]
  }
  design$random <- lapply(design$random, function(term) {
    codes <- term$codes[rows]
    used <- sort(unique(codes))
    term$codes <- match(codes, used)
    term$levels <- term$levels[used]
    if (!is.null(term$z)) term$z <- term$z[rows, , drop = FALSE]
    if (has_kernel(term)) term$kernel$loading <- term$kernel$loading[used, , drop = FALSE]
    term
  })
  design
}

# lmm() of a matrix -----------------------------------------------------------------------------

# Does the call of lmm() have several responses? Data that would have to be computed are not, as
# that could be slow, or random.
has_matrix_response <- function(call, env) {
  formula <- call$formula
  if (!inherits(formula, "formula") && is.symbol(formula)) formula <- get0(formula, env)
  if (!is.call(formula) || length(formula) != 3L) {
    return(FALSE)
  }
  left <- formula[[2L]]
  if (is.call(left) && identical(left[[1L]], quote(cbind))) {
    return(length(left) > 2L || is_wide(left[[2L]], call$data, env))
  }
  any(vapply(all.vars(left), function(name) is_wide(as.name(name), call$data, env), NA)) &&
    all(all.names(left, unique = TRUE) %in% c(all.vars(left), elementwise))
}

# Functions that keep the shape of a matrix.
elementwise <- c("(", "+", "-", "*", "/", "^", "log", "log1p", "log2", "log10", "sqrt", "exp",
                 "scale", "as.matrix", "data.matrix", "I", "asin", "t")

# Does a name stand for a matrix of several columns?
is_wide <- function(e, data, env) {
  if (!is.symbol(e)) {
    return(FALSE)
  }
  if (is.symbol(data)) data <- get0(as.character(data), env)
  name <- as.character(e)
  x <- if (is.list(data) && name %in% names(data)) .subset2(data, name) else get0(name, env)
  # A matrix with a class, such as a survival time, is one response.
  plain <- is.matrix(x) && (!is.object(x) || inherits(x, "AsIs"))
  (plain || is.data.frame(x)) && ncol(x) > 1L
}

# The fit of several responses that a call of lmm() asks for.
lmm_of_responses <- function(call, control, env) {
  asked <- call
  asked[[1L]] <- lmm_responses
  asked$progress <- control$progress
  fit <- eval(asked, env)
  fit$call <- call
  fit
}

# What goes into a matrix-level fit and how the fit is put together: kernel_lmm() and kernel_glmm()
# share it.

# Checks and prepares the arguments of a fit. Returns a list of class "pp_kernel_inputs":
#   n, names (of the rows, or NULL), y (for binomial families the proportion of successes),
#   response (the form in which y was given), trials, offset, noise_var (n numbers each, or NULL),
#   X (independent columns, named), column_names (all of them), aliased, kernel (in the order of the
#   rows, with its decomposition; or NULL), family (or NULL), fix (list, or NULL if the caller did
#   not say), held (the same with what the family holds), start (list).
# `fix`, `held` and `start` have elements beta (as many as columns of X), scale, delta, dispersion
# and shape (as the family has it: power, df), those that were given.
# fit = FALSE: values at given parameters need no data to estimate from.
# matrix_y: a response of several columns is allowed.
kernel_inputs <- function(y, X = NULL, kernel = NULL, family = NULL, trials = NULL, offset = NULL,
                          noise_var = NULL, fix = NULL, start = NULL, fit = TRUE, check = TRUE,
                          matrix_y = FALSE) {
  if (!is.null(family)) family <- as_family(family)
  check_kernel_family(family)
  if (!is.null(kernel)) kernel <- as_kernel(kernel)
  response <- kernel_response(y, family, trials, check, matrix_y)
  n <- NROW(response$y)
  X <- kernel_columns(X, n)
  check_partly_named(y, "y", "response")
  check_partly_named(X, "X", "variable")
  names <- row_ids(row_names_of(y), row_names_of(X))
  check_same_names(offset, "offset", "offset", names)
  check_same_names(trials, "trials", "argument", names)
  check_same_names(noise_var, "noise_var", "argument", names)
  if (is.null(names)) check_numbered(kernel, y, X)
  if (!is.null(kernel)) {
    kernel <- decomposed_kernel(kernel_of_rows(kernel, names, row_names_of(y), n))
    if (is.null(names) && !only_numbered(kernel$ids, "")) names <- kernel$ids
  }
  columns <- independent_kernel_columns(X, check)
  inputs <- list(
    n = n, names = names, y = response$y, response = response$form, trials = response$trials,
    offset = finite_numbers(offset, n, "offset", "offset"),
    noise_var = check_noise_var(noise_var, n), X = columns$X, column_names = colnames(X),
    aliased = columns$aliased, kernel = kernel, family = family
  )
  if (fit) check_kernel_data(inputs)
  inputs["fix"] <- list(given_parameters(fix, "fix", inputs))
  inputs$held <- held_parameters(inputs$fix, family)
  inputs$start <- given_parameters(start, "start", inputs)
  structure(inputs, class = "pp_kernel_inputs")
}

check_kernel_family <- function(family) {
  if (!is.null(family$quasi)) {
    pp_abort("family", c(
      x = "The family {.val {family$quasi}} has no likelihood that could be maximised.",
      ">" = "Use {.code betabinomial()} or {.code nbinom2()}; the variance of each row for itself,
             part of the model, takes up overdispersion too."
    ))
  }
}

# The response ------------------------------------------------------------------------------------

# list(y, trials, form). `form`: kind, and levels or column names, so that as_kernel_response() can
# give new responses the same form.
kernel_response <- function(y, family, trials, check, matrix_y) {
  if (is.null(y) || !is.atomic(y) || length(y) == 0L) {
    pp_abort("response", c(
      x = "{.arg y} must be the response of each row.",
      i = if (is.matrix(y)) {
        "It has {nrow(y)} row{?s} and {ncol(y)} column{?s}."
      } else {
        "It is {.obj_type_friendly {y}}."
      }
    ))
  }
  check_response_values(y)
  if (is.null(family)) {
    if (!is.null(trials)) abort_trials_unused("a normal response")
    if (!matrix_y || NCOL(y) == 1L) {
      return(list(y = check_response(y, "y"), form = response_form(y)))
    }
    if (!is.numeric(y)) check_response(y[, 1L], "y")
    storage.mode(y) <- "double"
    return(list(y = y, form = response_form(y)))
  }
  rows <- row_labels(y)
  if (traits_of(family)$response == "proportion") {
    return(proportion_response(y, family, trials, rows, check))
  }
  if (!is.null(trials)) abort_trials_unused(paste0("the family \"", family$family, "\""))
  values <- family_response(y, "y", family, rows = rows, advise = check)$y
  list(y = values, form = response_form(y))
}

row_labels <- function(y) {
  names <- row_names_of(y)
  if (is.null(names)) seq_len(NROW(y)) else names
}

check_response_values <- function(y) {
  bad <- if (is.numeric(y)) !is.finite(y) else is.na(y)
  bad <- which(if (is.matrix(bad)) rowSums(bad) > 0 else bad)
  if (length(bad)) {
    missing <- anyNA(if (is.matrix(y)) y[bad, ] else y[bad])
    what <- if (missing) "a missing value (NA/NaN)" else "an infinite value (Inf)"
    where <- describe_rows(row_labels(y)[bad])
    pp_abort("response", c(
      x = "There is {what} in {.arg y}.", i = "It stands in {where}.",
      ">" = "Leave such rows out of {.arg y}, {.arg X} and the kernel."
    ), rows = bad)
  }
}

abort_trials_unused <- function(what) {
  pp_abort("argument", c(
    x = "{.arg trials} has no meaning for {what}.",
    i = "It is the number of trials of a binomial response.",
    ">" = "Leave it out."
  ))
}

# With `trials` y is the number of successes; without, yes or no, or a matrix of successes and
# failures.
proportion_response <- function(y, family, trials, rows, check) {
  form <- response_form(y)
  if (is.matrix(y) && ncol(y) > 1L) {
    if (!is.null(trials)) {
      pp_abort("argument", c(
        x = "{.arg trials} is given, and {.arg y} has two columns.",
        i = "Successes and failures add up to the trials.",
        ">" = "Give {.arg y} as a vector of successes, or leave {.arg trials} out."
      ))
    }
  } else if (is.null(trials)) {
    if (is.numeric(y)) check_trials_needed(y, rows)
  } else {
    y <- success_pairs(y, trials, rows)
    form$kind <- "successes"
  }
  parts <- family_response(y, "y", family, rows = rows, advise = check)
  n <- length(parts$y)
  list(y = parts$y, trials = if (is.null(parts$trials)) rep(1, n) else parts$trials, form = form)
}

check_trials_needed <- function(y, rows) {
  whole <- y == round(y)
  if (any(y > 1 & whole) || any(!whole & y > 0 & y < 1)) {
    bad <- which(y > 1 | !whole)
    where <- describe_rows(rows[bad])
    pp_abort("response", c(
      x = "{.arg trials} is missing: without it {.arg y} must be 0 or 1.",
      i = "It holds {.val {signif(unique(utils::head(y[bad], 3L)), 4)}} in {where}.",
      ">" = "Give {.arg y} as the number of successes with {.arg trials}, or
             {.code cbind(successes, failures)}."
    ), rows = bad)
  }
}

success_pairs <- function(y, trials, rows) {
  y <- success_indicator(y, "y", NULL)
  trials <- finite_numbers(trials, length(y), "trials", "argument")
  bad <- which(trials <= 0 | trials != round(trials))
  if (length(bad)) {
    where <- describe_rows(rows[bad])
    pp_abort("argument", c(
      x = "{.arg trials} must be positive whole numbers.",
      i = "It is {.val {utils::head(trials[bad], 3L)}} in {where}."
    ), rows = bad)
  }
  more <- which(y > trials)
  if (length(more)) {
    where <- describe_rows(rows[more])
    pp_abort("response", c(
      x = "{.arg y} must not be greater than {.arg trials}.",
      i = "There are more successes than trials in {where}."
    ), rows = more)
  }
  if (any(y != round(y)) && all(y >= 0 & y <= 1) && any(trials > 1)) {
    pp_abort("response", c(
      x = "{.arg y} must be the number of successes if {.arg trials} is given.",
      i = "It looks like a proportion: all its values lie between 0 and 1.",
      ">" = "Use {.code y * trials}."
    ))
  }
  cbind(y, trials - y)
}

response_form <- function(y) {
  if (is.matrix(y) && ncol(y) > 1L) {
    return(list(kind = "matrix", columns = colnames(y)))
  }
  if (is.factor(y)) {
    return(list(kind = "factor", levels = levels(y)))
  }
  if (is.character(y)) {
    return(list(kind = "character", levels = sort(unique(y))))
  }
  list(kind = if (is.logical(y)) "logical" else "numeric")
}

# A response in the form in which y was given, from the y of a fit.
as_kernel_response <- function(fit, y) {
  form <- fit$response
  counts <- function(successes) {
    whole <- round(successes)
    ifelse(abs(successes - whole) < 1e-6 * pmax(1, whole), whole, successes)
  }
  switch(form$kind,
    matrix = {
      successes <- counts(y * fit$trials)
      matrix(c(successes, fit$trials - successes), ncol = 2L, dimnames = list(NULL, form$columns))
    },
    successes = counts(y * fit$trials),
    factor = factor(form$levels[1 + (y > 0)], levels = form$levels),
    character = form$levels[1 + (y > 0)],
    logical = y == 1,
    y
  )
}

# Columns, offset, noise --------------------------------------------------------------------------

# X as a numeric matrix with column names.
kernel_columns <- function(X, n) {
  if (is.null(X)) {
    return(matrix(1, n, 1L, dimnames = list(NULL, "(Intercept)")))
  }
  if (inherits(X, "Matrix")) X <- as.matrix(X)
  if (is.data.frame(X) && all(vapply(X, function(x) is.numeric(x) || is.logical(x), NA))) {
    X <- as.matrix(X)
  }
  if (is.logical(X)) X <- X + 0
  if (!is.numeric(X) || is.array(X) && length(dim(X)) > 2L) {
    pp_abort("variable", c(
      x = "{.arg X} must be a numeric matrix of the fixed effects.",
      i = "It is {.obj_type_friendly {X}}.",
      ">" = "{.code model.matrix(~ a + b, data)} makes one of factors and a formula."
    ))
  }
  if (!is.matrix(X)) {
    X <- matrix(X, ncol = 1L, dimnames = list(names(X), NULL))
  }
  if (nrow(X) != n) {
    pp_abort("variable", c(
      x = "{.arg X} must have a row for each value of {.arg y}.",
      i = "It has {nrow(X)} row{?s}; {.arg y} has {n}."
    ))
  }
  check_columns_finite(X)
  matrix(as.numeric(X), n, ncol(X), dimnames = list(rownames(X), column_names_for(X)))
}

check_columns_finite <- function(X) {
  bad <- which(rowSums(!is.finite(X)) > 0)
  if (length(bad)) {
    column <- which(colSums(!is.finite(X)) > 0)
    label <- if (is.null(colnames(X))) column else colnames(X)[column]
    what <- if (anyNA(X)) "a missing value (NA/NaN)" else "an infinite value (Inf)"
    where <- describe_rows(row_labels(X)[bad])
    pp_abort("variable", c(
      x = "There is {what} in {.arg X}: column{?s} {.val {label}}.", i = "It stands in {where}.",
      ">" = "Leave such rows out of {.arg y}, {.arg X} and the kernel."
    ), rows = bad)
  }
}

# Made up where there are none; no two alike.
column_names_for <- function(X) {
  names <- colnames(X)
  made <- if (ncol(X)) paste0("x", seq_len(ncol(X)))
  if (is.null(names)) {
    return(made)
  }
  empty <- is.na(names) | !nzchar(names)
  names[empty] <- made[empty]
  make.unique(names, "_")
}

# Independent columns, as lmm() keeps them, and the names of the others. Columns are compared with
# their centred norms where one of them is constant: a large mean is no dependence.
independent_kernel_columns <- function(X, inform = TRUE) {
  p <- ncol(X)
  size <- apply(abs(X), 2L, max)
  scaled <- X / rep(ifelse(size > 0, size, 1), each = nrow(X))
  spread <- apply(scaled, 2L, function(x) max(x) - min(x))
  constant <- spread < 1e-14
  # A constant of 1e-16 beside columns of ordinary size is zero, rounded; a 1 never is.
  zero <- size == 0 | constant & size < 1e-12 * pmin(1, max(size, 0))
  intercept <- which(constant & !zero)[1L]
  if (!is.na(intercept)) {
    others <- setdiff(seq_len(p), intercept)
    scaled[, others] <- scaled[, others] - rep(colMeans(scaled[, others, drop = FALSE]),
      each = nrow(X)
    )
    # What is left of a constant column is rounding.
    zero[setdiff(which(constant), intercept)] <- TRUE
  }
  scaled[, zero] <- 0
  norms <- sqrt(colSums(scaled^2))
  scaled <- scaled / rep(ifelse(norms > 0, norms, 1), each = nrow(X))
  kept <- if (p) {
    # The intercept first: the others are what they are beside it.
    order <- c(intercept[!is.na(intercept)], setdiff(seq_len(p), intercept))
    factor <- qr(scaled[, order, drop = FALSE], tol = 1e-9)
    sort(order[factor$pivot[seq_len(factor$rank)]])
  }
  aliased <- colnames(X)[setdiff(seq_len(p), kept)]
  if (length(aliased) && inform) {
    pp_inform("rank", c(
      "i" = "{cli::qty(aliased)}Column{?s} of {.arg X} left out: {.code {aliased}}.",
      "i" = "{cli::qty(aliased)}{?It is/They are} zero or {?a linear combination/linear
             combinations} of the other columns; the fit is the same without."
    ))
  }
  list(X = X[, kept, drop = FALSE], aliased = aliased)
}

# One finite number a row; a single number serves all rows.
finite_numbers <- function(x, n, arg, topic) {
  if (is.null(x)) {
    return(NULL)
  }
  if (!(is.numeric(x) || is.logical(x)) || NCOL(x) > 1L) {
    pp_abort(topic, c(
      x = "{.arg {arg}} must be a numeric vector.", i = "It is {.obj_type_friendly {x}}."
    ))
  }
  if (!length(x) %in% c(1L, n)) {
    pp_abort(topic, c(
      x = "{.arg {arg}} must have one value, or one for each value of {.arg y}.",
      i = "It has {length(x)} value{?s}; {.arg y} has {n}."
    ))
  }
  bad <- which(!is.finite(x))
  if (length(bad)) {
    where <- describe_rows(row_labels(x)[bad])
    pp_abort(topic, c(x = "{.arg {arg}} must be finite: see {where}."), rows = bad)
  }
  rep_len(as.numeric(x), n)
}

check_noise_var <- function(noise_var, n) {
  noise_var <- finite_numbers(noise_var, n, "noise_var", "argument")
  bad <- which(noise_var <= 0)
  if (length(bad)) {
    where <- describe_rows(bad)
    pp_abort("argument", c(
      x = "{.arg noise_var} must be positive.", i = "It is not in {where}."
    ), rows = bad)
  }
  noise_var
}

# Can anything be estimated?
check_kernel_data <- function(inputs) {
  if (ncol(inputs$X) >= inputs$n) {
    pp_abort("rank", c(
      x = "There are as many fixed effects ({ncol(inputs$X)} column{?s} of {.arg X}) as rows
           ({inputs$n}).",
      i = "The fixed effects alone fit the response exactly and leave nothing to estimate from.",
      ">" = "Leave columns of {.arg X} out."
    ))
  }
  y <- inputs$y
  family <- inputs$family
  if (is.matrix(y) || length(y) < 2L || !is.null(inputs$noise_var)) {
    return(invisible())
  }
  continuous <- is.null(family) || !traits_of(family)$discrete
  if (continuous && is.null(inputs$offset) && all(y == y[1L])) {
    value <- y[1L]
    pp_abort("response", c(
      x = "The response {.arg y} is constant.",
      i = "Every row has the value {.val {value}}: there is no variance to model."
    ))
  }
}

# Names -------------------------------------------------------------------------------------------

# A fit from its inputs and what was found. `fixed`: named logical, of those of beta, scale, delta,
# dispersion and shape that the model has. `gradient` and `vcov_full` are named as
# kernel_parameter_names() names them. Further elements by `...`.
new_kernel_fit <- function(inputs, call, model, coefficients, scale, delta, fixed, logLik,
                           gradient = NULL, vcov = NULL, vcov_full = NULL, dispersion = NULL,
                           shape = NULL, sites = NULL, posterior = NULL, convergence = list(),
                           REML = FALSE, fitted = TRUE, control = pp_control(), df = NULL,
                           class = if (model == "ep") "pp_kernel_glmm" else "pp_kernel_lmm", ...) {
  columns <- colnames(inputs$X)
  p <- length(columns)
  all_fixed <- c(beta = p == 0L, scale = FALSE, delta = is.null(inputs$kernel))
  if (length(dispersion)) all_fixed["dispersion"] <- FALSE
  if (length(shape)) all_fixed["shape"] <- FALSE
  given <- intersect(names(fixed), names(all_fixed))
  all_fixed[given] <- fixed[given]
  sizes <- c(p, rep(1L, length(all_fixed) - 1L))
  if (is.null(vcov)) vcov <- matrix(NA_real_, p, p)
  fit <- list(
    call = call, model = model, family = inputs$family, REML = REML, y = inputs$y, X = inputs$X,
    names = inputs$names, response = inputs$response, column_names = inputs$column_names,
    aliased = inputs$aliased, trials = inputs$trials, offset = inputs$offset,
    noise_var = inputs$noise_var, kernel = inputs$kernel,
    coefficients = stats::setNames(as.numeric(coefficients), columns),
    scale = as.numeric(scale), delta = as.numeric(delta), dispersion = dispersion,
    shape = if (length(shape)) {
      stats::setNames(as.numeric(shape), traits_of(inputs$family)$shape)
    },
    fixed = all_fixed, logLik = as.numeric(logLik), gradient = gradient,
    vcov = matrix(as.numeric(vcov), p, p, dimnames = list(columns, columns)),
    vcov_full = vcov_full, sites = sites, posterior = posterior, convergence = convergence,
    n = inputs$n, df = as.integer(if (is.null(df)) sum(sizes[!all_fixed]) else df),
    fitted = fitted, control = control
  )
  extra <- list(...)
  fit[names(extra)] <- extra
  structure(fit, class = c(class, "pp_kernel_fit", "pp_fit"))
}

# Names of the parameters in the order of gradients and of `vcov_full`, which has the free ones.
kernel_parameter_names <- function(columns, dispersion = FALSE, shape = FALSE) {
  c(columns, "log(scale)", "logit(delta)", if (dispersion) "log(phi)", if (shape) "shape")
}

# The variances of a fit: of the kernel, and of each row for itself.
kernel_variances <- function(fit) {
  c(v0 = fit$scale * (1 - fit$delta), v1 = fit$scale * fit$delta)
}

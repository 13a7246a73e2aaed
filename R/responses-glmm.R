# Loops of refits: responses of generalised models.

# A fit by glmm() for the first response that can be fitted, then refits of it.
fit_calls <- function(model, family, extra, env, options) {
  maker <- if (is_gaussian(family)) lmm else glmm
  # All rows stay, also those without a response: variables that are not in the data have as many.
  fresh <- function(y) {
    data <- model$data
    data[[row_number]] <- y
    arguments <- c(
      list(maker, formula = model$formula, data = data),
      if (!is_gaussian(family)) list(family = family), extra
    )
    eval(as.call(arguments), env)
  }
  Y <- model$Y
  first <- NULL
  state <- new.env()
  one <- function(j) {
    y <- Y[, j]
    rows <- which(!is.na(y))
    template <- state$template
    if (!is.null(template) && length(rows) == nrow(Y)) {
      return(refit(template, y[template_rows(template, nrow(Y))]))
    }
    fit <- fresh(y)
    if (length(rows) == nrow(Y)) state$template <- fit
    fit
  }
  # The first that can be fitted fixes the columns that all have.
  results <- vector("list", ncol(Y))
  for (j in seq_len(ncol(Y))) {
    results[[j]] <- tried_fit(one(j))
    if (!is.null(results[[j]]$fit)) {
      first <- results[[j]]$fit
      break
    }
  }
  if (is.null(first)) {
    cause <- results[[1L]]$message
    pp_abort("fit", c(x = "None of the responses can be fitted.", i = escape_braces(cause)))
  }
  collect_fits(first, Y, one, options, results)
}

# Rows of the data that a fit used.
template_rows <- function(fit, n) {
  at <- match(row.names(fit$frame), as.character(seq_len(n)))
  if (anyNA(at)) seq_len(n) else at
}

fit_refits <- function(fit, Y, options) {
  one <- function(j) {
    if (anyNA(Y[, j])) {
      pp_abort("response", c(
        x = "The response has missing values.",
        ">" = "{.fn glmm_responses} fits each response to its own complete rows."
      ))
    }
    refit(fit, Y[, j])
  }
  collect_fits(fit, Y, one, options, vector("list", ncol(Y)))
}

# list(fit, message): the fit or NULL, and what was said.
tried_fit <- function(code) {
  tried <- try_model("status", tryCatch(code, partialpool_error = function(e) {
    stop(flat_message(e), call. = FALSE)
  }))
  said <- paste(tried$message, collapse = " ")
  list(fit = tried$value, message = gsub("the response `newresp`", "the response", said))
}

# `done`: results of tried_fit() that are there already.
collect_fits <- function(first, Y, one, options, done) {
  hypotheses <- response_hypotheses(first, options$coding)
  run <- function(block, tick, shared) {
    lapply(block$columns, function(j) {
      tried <- if (is.null(done[[j]])) tried_fit(one(j)) else done[[j]]
      tick(1L)
      fit_record(tried, first, hypotheses, nrow(Y) - sum(is.na(Y[, j])))
    })
  }
  blocks <- lapply(column_blocks(seq_len(ncol(Y)), options), function(columns) {
    list(columns = columns)
  })
  records <- unlist(over_blocks(blocks, run, options, ncol(Y)), recursive = FALSE)
  found <- gather_blocks(records, lapply(seq_len(ncol(Y)), function(j) list(columns = j)), ncol(Y))
  c(found, list(design = first))
}

# The numbers of one fit in the form of the compiled loop: its statistic is the chi-square over df.
fit_record <- function(tried, first, hypotheses, n) {
  fit <- tried$fit
  names <- names(first$coefficients)
  empty <- no_results(first, 1L, length(hypotheses), tried$message, n)
  if (is.null(fit)) {
    return(empty)
  }
  if (!identical(names(fit$coefficients), names)) {
    empty$message <- "Columns of the design are linearly dependent in the rows of this response."
    return(empty)
  }
  own <- inference(fit, if (inherits(fit, "pp_glmm")) "none")
  se <- sqrt(diag(own$vcov))
  tests <- lapply(hypotheses, function(h) own$joint(unname(h$L)))
  column <- function(x) matrix(as.numeric(x), ncol = 1L)
  sd <- unlist(lapply(VarCorr(fit), function(v) attr(v, "stddev")))
  list(
    coefficients = column(fit$coefficients), se = column(se),
    df = column(own$df(diag(length(names)))), vcov = column(own$vcov), sd = column(sd),
    f = column(vapply(tests, function(t) t$statistic, 0)),
    num = column(vapply(tests, function(t) as.numeric(t$num), 0)),
    den = column(vapply(tests, function(t) t$den, 0)), sigma = fit$sigma,
    criterion = fit$criterion, status = fit_status(fit),
    evaluations = as.integer(fit$convergence$evaluations), message = tried$message, n = fit$n
  )
}

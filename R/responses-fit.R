# The loops over responses: compiled for linear models, of refits for generalised ones.

# What a loop returns for m responses: matrices with a column a response (coefficients, se, df;
# vcov, p^2 rows; sd; f, num, den by term) and vectors (sigma, criterion, status, message, n,
# evaluations). Numbers of a response that was not fitted are NA.
fit_columns <- function(design, Y, REML, control, options) {
  # Rows in units so different that a direction would be lost have a basis beside them.
  metric <- metric_of(design)
  tests <- lapply(response_hypotheses(design, options$coding), function(h) {
    list(h$test, hypothesis_basis(h$test, metric))
  })
  groups <- by_missing_rows(Y)
  blocks <- unlist(lapply(groups, function(group) {
    lapply(column_blocks(group$columns, options), function(columns) {
      list(columns = columns, rows = group$rows)
    })
  }), recursive = FALSE)
  whole <- vapply(blocks, function(b) length(b$rows) == nrow(Y), NA)
  design$random <- number_factors(design$random)
  # One engine serves all blocks of complete responses that run in this process.
  eng <- NULL
  run <- function(block, tick, shared) {
    y <- Y[block$rows, block$columns, drop = FALSE]
    if (shared && length(block$rows) == nrow(Y)) {
      if (is.null(eng)) {
        eng <<- engine_create(engine_rows(design, some_response(design)), REML, "automatic")
      }
      found <- fit_block(eng, y, tests, options$ddf, control)
    } else {
      found <- fit_block_alone(design, y, block$rows, tests, options$ddf, REML, control)
    }
    tick(length(block$columns))
    found
  }
  results <- over_blocks(blocks, run, options, ncol(Y))
  gather_blocks(results, blocks, ncol(Y))
}

response_hypotheses <- function(design, coding) {
  fit <- c(design[c("X", "terms", "frame", "xlevels", "aliased")], list(n = nrow(design$X)))
  hypotheses <- effect_hypotheses(fit, 3L, NULL, coding)
  Filter(function(h) h$term != "(Intercept)", hypotheses)
}

# Any response that is not constant: the engine is made with it and never fitted to it.
some_response <- function(design) as.numeric(seq_len(nrow(design$X)))

# Blocks small enough for a progress bar and for sharing out between workers.
column_blocks <- function(columns, options) {
  size <- if (options$progress || future_workers() > 1L) {
    max(1L, min(50L, ceiling(length(columns) / (4 * future_workers()))))
  } else {
    200L
  }
  unname(split(columns, (seq_along(columns) - 1L) %/% size))
}

over_blocks <- function(blocks, run, options, total) {
  if (future_workers() > 1L && length(blocks) > 1L) {
    return(future.apply::future_lapply(
      blocks, run, tick = no_count, shared = FALSE, future.seed = NULL,
      future.packages = "partialpool"
    ))
  }
  if (!options$progress) {
    return(lapply(blocks, run, tick = no_count, shared = TRUE))
  }
  bar <- cli::cli_progress_bar("Responses", total = total, .auto_close = FALSE)
  on.exit(cli::cli_progress_done(id = bar))
  lapply(blocks, run, tick = function(k) cli::cli_progress_update(k, id = bar), shared = TRUE)
}

no_count <- function(k) NULL

# Infinite values and constant responses never reach the engine.
fit_block <- function(eng, y, tests, ddf, control) {
  cause <- apply(y, 2L, unusable_response)
  usable <- is.na(cause)
  # A column of numbers that can be fitted in the place of one that cannot.
  y[, !usable] <- seq_len(nrow(y))
  found <- responses_fit(eng, y, tests, ddf, control$tolerance, control$max_iterations)
  status <- found$status
  fitted <- usable & !is.na(found$criterion)
  found$message <- rep("", ncol(y))
  found$message[!fitted] <- ifelse(usable, engine_cause(status), cause)[!fitted]
  short <- fitted & status != "converged"
  found$message[short] <- paste("The optimum was not reached:", status[short])
  singular <- fitted & found$singular
  found$message[singular & !short] <- "Singular fit: a variance is zero or a correlation is one."
  found$status <- ifelse(
    !fitted, "failed", ifelse(short, "not converged", ifelse(singular, "singular", "ok"))
  )
  for (part in names(found)) {
    if (is.matrix(found[[part]])) found[[part]][, !fitted] <- NA_real_
  }
  found$sigma[!fitted] <- found$criterion[!fitted] <- NA_real_
  found$evaluations[!fitted] <- NA_integer_
  found$n <- rep(nrow(y), ncol(y))
  found
}

unusable_response <- function(y) {
  if (!all(is.finite(y))) {
    return("The response has infinite values.")
  }
  if (length(y) < 2L || all(y == y[1L])) {
    return("The response is constant: there is no variance to model.")
  }
  NA_character_
}

engine_cause <- function(status) {
  known <- c(
    exact = "The fixed effects fit the response exactly: nothing is left to model.",
    "no variance" = "The residual variance is zero: the model fits the response exactly.",
    "not finite" = "The criterion is not finite at the starting values."
  )
  ifelse(status %in% names(known), known[status], status)
}

# Responses with missing values, on their own rows.
fit_block_alone <- function(design, y, rows, tests, ddf, REML, control) {
  cause <- NULL
  if (length(rows) < nrow(design$X)) {
    design <- design_rows(design, rows)
    cause <- short_design_cause(design)
  }
  if (is.null(cause)) {
    eng <- engine_create(engine_rows(design, some_response(design)), REML, "automatic")
    rank <- engine_rank(eng)
    if (nrow(rank$aliased_z) || length(rank$kept) < ncol(design$X)) {
      cause <- "Columns of the design are linearly dependent in the rows without missing values."
    }
  }
  if (!is.null(cause)) {
    return(no_results(design, ncol(y), length(tests), cause, length(rows)))
  }
  fit_block(eng, y, tests, ddf, control)
}

# Why the rows left cannot carry the model.
short_design_cause <- function(design) {
  n <- nrow(design$X)
  levels <- vapply(design$random, function(term) length(term$levels), 0L)
  if (n <= ncol(design$X)) {
    return("There are as many fixed effects as rows without missing values.")
  }
  if (any(levels < 2L) || any(levels >= n)) {
    return("A grouping factor has one level, or a level a row, without missing values.")
  }
  NULL
}

no_results <- function(design, m, n_tests, cause, n) {
  p <- ncol(design$X)
  empty <- function(rows) matrix(NA_real_, rows, m)
  sds <- sum(vapply(design$random, function(term) length(term$columns), 0L))
  tests <- empty(n_tests)
  list(
    coefficients = empty(p), se = empty(p), df = empty(p), vcov = empty(p * p), sd = empty(sds),
    f = tests, num = tests, den = tests, sigma = rep(NA_real_, m), criterion = rep(NA_real_, m),
    status = rep("failed", m), evaluations = rep(NA_integer_, m), message = rep(cause, m),
    n = rep(n, m)
  )
}

# The results of the blocks in the order of the responses.
gather_blocks <- function(results, blocks, m) {
  order <- order(unlist(lapply(blocks, function(b) b$columns)))
  parts <- c("coefficients", "se", "df", "vcov", "sd", "f", "num", "den")
  out <- lapply(stats::setNames(nm = parts), function(part) {
    do.call(cbind, lapply(results, function(r) r[[part]]))[, order, drop = FALSE]
  })
  vectors <- c("sigma", "criterion", "status", "evaluations", "message", "n")
  c(out, lapply(stats::setNames(nm = vectors), function(part) {
    unlist(lapply(results, function(r) r[[part]]))[order]
  }))
}

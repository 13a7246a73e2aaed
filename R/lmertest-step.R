# lmerTest's step(): random terms, then terms of the fixed effects, left out one at a time.

step.pp_lmm <- function(object, ddf = c("Satterthwaite", "Kenward-Roger"), alpha.random = 0.1,
                        alpha.fixed = 0.05, reduce.fixed = TRUE, reduce.random = TRUE, keep, ...) {
  reject_dots(...)
  ddf <- if (missing(ddf)) "satterthwaite" else choose_ddf(ddf)
  fit <- quiet_fit(object)
  random <- eliminate_random(fit, if (reduce.random) alpha.random else 1)
  keep <- if (missing(keep)) character() else check_kept(keep, fit)
  fixed <- eliminate_fixed(random$fit, if (reduce.fixed) alpha.fixed else 1, ddf, keep)
  model <- fixed$fit
  model$control <- object$control
  structure(
    list(random = random$table, fixed = fixed$table), class = "step_list",
    model = model, drop1 = fixed$last
  )
}

step.pp_glmm <- function(object, ...) {
  pp_abort("argument", c(
    x = "{.fn step} of {.pkg lmerTest} is for linear mixed models.",
    ">" = "Use {.fn drop1} for the fixed and {.fn ranova} for the random terms."
  ))
}

check_kept <- function(keep, fit) {
  labels <- attr(fit$terms, "term.labels")
  unknown <- setdiff(keep, labels)
  if (length(unknown)) {
    pp_warn("argument", c(
      "!" = "{.arg keep} has terms that the model has not: {.val {unknown}}.",
      i = "Its terms are {.val {labels}}."
    ))
  }
  keep
}

eliminate_random <- function(fit, alpha) {
  if (!has_random(fit)) {
    none <- data.frame(
      npar = fit$df, logLik = as.numeric(stats::logLik(fit)), AIC = stats::AIC(fit), LRT = NA_real_,
      Df = NA_real_, "Pr(>Chisq)" = NA_real_, check.names = FALSE, row.names = "<none>"
    )
    return(list(fit = fit, table = step_table(none, NA, "random")))
  }
  tests <- ranova.pp_fit(fit)
  rows <- as.data.frame(tests)[1L, ]
  while (has_random(fit) && any(tests[-1L, "Pr(>Chisq)"] > alpha, na.rm = TRUE)) {
    worst <- which.max(tests[-1L, "Pr(>Chisq)"])
    rows <- rbind(rows, as.data.frame(tests)[1L + worst, ])
    fit <- attr(tests, "fits")[[worst]]
    tests <- if (has_random(fit)) ranova.pp_fit(fit) else tests[1L, ]
  }
  eliminated <- c(NA, seq_len(nrow(rows) - 1L), rep(0, nrow(tests) - 1L))
  rows <- rbind(rows, as.data.frame(tests)[-1L, ])
  list(fit = fit, table = step_table(rows, eliminated, "random"))
}

eliminate_fixed <- function(fit, alpha, ddf, keep) {
  tests <- deletion_contests(fit, ddf)
  rows <- tests[0L, ]
  repeat {
    p <- tests[["Pr(>F)"]]
    p[row.names(tests) %in% keep] <- NA
    if (!any(p > alpha, na.rm = TRUE)) break
    worst <- which.max(p)
    rows <- rbind(rows, tests[worst, ])
    smaller <- fit_without(fit, row.names(tests)[worst])
    restricted <- function() fit_design(design_of(smaller), TRUE, NULL, fit$control, smaller$call)
    fit <- if (fit$REML) restricted() else smaller
    tests <- deletion_contests(fit, ddf)
  }
  eliminated <- c(seq_len(nrow(rows)), rep(0, nrow(tests)))
  table <- step_table(rbind(rows, tests), eliminated, "fixed")
  used <- if (has_random(fit)) ddf else "residual"
  attr(table, "heading") <- c(
    attr(table, "heading"), paste("Degrees of freedom method:", lmertest_ddf(used), "\n")
  )
  last <- structure(tests, heading = deletion_heading(fit), class = c("anova", "data.frame"))
  list(fit = fit, table = table, last = last)
}

# The F tests of drop1(), with the sums of squares that lmerTest adds.
deletion_contests <- function(fit, ddf) {
  labels <- stats::drop.scope(fit$terms)
  inference <- inference(fit, ddf)
  decomposed <- qr(fit$X)
  tests <- lapply(labels, function(label) {
    L <- deletion_contrasts(decomposed, reduced_matrix(fit, terms_without(fit$terms, label)))
    if (!nrow(L)) L <- matrix(NA_real_, 1L, ncol(fit$X))
    joint_contest(inference, L, 0, fit)
  })
  table <- do.call(rbind, tests)
  if (is.null(table)) {
    table <- joint_contest(inference, matrix(NA_real_, 1L, ncol(fit$X)), 0, fit)[0L, ]
  }
  row.names(table) <- labels
  table
}

step_table <- function(rows, eliminated, what) {
  table <- if (nrow(rows)) cbind(Eliminated = eliminated, rows) else rows
  structure(table,
    heading = paste0("Backward reduced ", what, "-effect table:", if (what == "random") "\n"),
    fits = NULL, class = c("anova", "data.frame")
  )
}

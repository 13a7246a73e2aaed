# Methods for the lmerTest package: its generics on our fits, with our inference(). Its functions
# that are no generics (ranova(), calcSatterth(), as_lmerModLmerTest()) cannot take our fits.

contest.pp_fit <- function(model, L, rhs = 0, joint = TRUE, collect = TRUE, confint = TRUE,
                           level = 0.95, check_estimability = FALSE, ddf = NULL, ...) {
  reject_dots(...)
  parts <- if (is.list(L)) L else list(L)
  inference <- lmertest_inference(model, ddf)
  null <- if (check_estimability && !joint) null_basis_of(model)
  tables <- lapply(parts, function(l) {
    if (joint) {
      return(joint_contest(inference, as_contrasts(l, length(model$coefficients)), rhs, model))
    }
    l <- estimable_rows(l, null, names(model$coefficients))
    l <- as_contrasts(l, length(model$coefficients))
    table <- single_contests(inference, l, rhs, confint, level)
    if (!is.null(rownames(l))) row.names(table) <- rownames(l)
    table
  })
  if (collect) do.call(rbind, tables) else tables
}

contest1D.pp_fit <- function(model, L, rhs = 0, ddf = NULL, confint = FALSE, level = 0.95, ...) {
  reject_dots(...)
  L <- matrix(L, 1L)
  check_contrast_width(L, model)
  single_contests(lmertest_inference(model, ddf), L, rhs, confint, level)
}

contestMD.pp_fit <- function(model, L, rhs = 0, ddf = NULL, eps = NULL, ...) {
  reject_dots(...)
  joint_contest(
    lmertest_inference(model, ddf), as_contrasts(L, length(model$coefficients)), rhs, model
  )
}

# lmerTest calls "lme4" what is "none" here.
lmertest_inference <- function(fit, ddf) {
  if (identical(ddf, c("Satterthwaite", "Kenward-Roger"))) ddf <- NULL
  inference(fit, if (identical(ddf, "lme4")) "none" else ddf)
}

check_contrast_width <- function(L, fit) {
  p <- length(fit$coefficients)
  if (!is.numeric(L) || ncol(L) != p) {
    pp_abort("argument", c(
      x = "{.arg L} must have a number for each of the {p} coefficients.", i = "It has {ncol(L)}."
    ))
  }
}

single_contests <- function(inference, L, rhs, confint, level) {
  table <- contrast_table(inference, L, level)
  t <- (table$estimate - rhs) / table$std.error
  result <- data.frame(
    Estimate = table$estimate, "Std. Error" = table$std.error, df = table$df, "t value" = t,
    check.names = FALSE
  )
  if (confint) result <- cbind(result, lower = table$conf.low, upper = table$conf.high)
  result[["Pr(>|t|)"]] <- 2 * stats::pt(-abs(t), table$df)
  result
}

joint_contest <- function(inference, L, rhs, fit) {
  check_contrast_width(L, fit)
  if (anyNA(L)) {
    test <- list(chisq = NA_real_, num = NA_real_, den = NA_real_, statistic = NA_real_,
                 p = NA_real_)
  } else {
    rhs <- rep_len(rhs, nrow(L))
    test <- inference$joint(L, if (any(rhs != 0)) particular_solution(L, rhs) else 0)
  }
  sigma <- if (inherits(fit, "pp_lmm")) fit$sigma else 1
  data.frame(
    "Sum Sq" = test$chisq * sigma^2, "Mean Sq" = test$chisq / test$num * sigma^2,
    NumDF = test$num, DenDF = test$den, "F value" = test$statistic, "Pr(>F)" = test$p,
    check.names = FALSE
  )
}

ls_means.pp_fit <- function(model, which = NULL, level = 0.95, ddf = NULL, pairwise = FALSE, ...) {
  reject_dots(...)
  inference <- lmertest_inference(model, ddf)
  null <- null_basis_of(model)
  hypotheses <- least_squares_contrasts(model, which)
  if (pairwise) hypotheses <- lapply(hypotheses, pairs_of_rows)
  tables <- lapply(hypotheses, function(L) {
    L <- estimable_rows(L, null, names(model$coefficients))
    table <- single_contests(inference, L, 0, TRUE, level)
    row.names(table) <- rownames(L)
    table
  })
  table <- do.call(rbind, unname(tables))
  structure(table,
    response = label_of(model$formula[[2L]]), confidence_level = level,
    ddf = lmertest_ddf(inference$ddf), hypotheses = hypotheses,
    heading = "Least Squares Means table:\n", class = c("ls_means", "data.frame")
  )
}

lsmeansLT.pp_fit <- function(model, which = NULL, level = 0.95, ddf = NULL, pairwise = FALSE, ...) {
  ls_means.pp_fit(model, which, level, ddf, pairwise, ...)
}

difflsmeans.pp_fit <- function(model, which = NULL, level = 0.95, ddf = NULL, ...) {
  ls_means.pp_fit(model, which, level, ddf, pairwise = TRUE, ...)
}

lmertest_ddf <- function(ddf) {
  switch(ddf,
    satterthwaite = "Satterthwaite", "kenward-roger" = "Kenward-Roger", residual = "residual",
    none = "infinite"
  )
}

# Per term of factors: a row per combination of levels, the mean over the levels of the others and
# at the means of the numbers; a column per column of the model, dropped ones included.
least_squares_contrasts <- function(fit, which) {
  check_has_formula(fit)
  terms <- stats::delete.response(fit$terms)
  names <- variable_names(terms)
  frame <- factors_of_frame(fit$frame[names])
  is_factor <- vapply(frame, is.factor, NA)
  inside <- attr(terms, "factors") > 0
  labels <- attr(terms, "term.labels")
  of_factors <- labels[vapply(labels, function(l) all(is_factor[inside[names, l]]), NA)]
  which <- choose_factor_terms(which, of_factors)
  grid <- reference_grid(frame, is_factor)
  X <- model_matrix(terms, structure(grid, terms = terms), fit$contrasts)
  lapply(stats::setNames(nm = which), function(label) {
    columns <- names[inside[names, label]]
    cell <- interaction(lapply(grid[columns], as.integer), drop = TRUE, lex.order = FALSE)
    first <- match(levels(cell), cell)
    L <- rowsum(X, cell)[levels(cell), , drop = FALSE] / as.vector(table(cell))
    rownames(L) <- apply(mapply(function(column, name) {
      paste0(name, as.character(column[first]))
    }, grid[columns], columns, SIMPLIFY = TRUE), 1L, paste, collapse = ":")
    L
  })
}

# Also of TRUE and FALSE, as the model matrix has it.
factors_of_frame <- function(frame) {
  logical <- vapply(frame, is.logical, NA)
  frame[logical] <- lapply(frame[logical], factor)
  factorise(frame, names(frame))
}

check_has_formula <- function(fit) {
  if (is.null(fit$frame)) {
    pp_abort("argument", c(x = "The fit was made from matrices: it has no factors to average."))
  }
}

choose_factor_terms <- function(which, known) {
  if (is.null(which)) {
    return(known)
  }
  unknown <- setdiff(which, known)
  if (!is.character(which) || length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg which} must name terms of factors: {.val {known}}.",
      i = "Not one of them: {.val {unknown}}."
    ))
  }
  which
}

reference_grid <- function(frame, is_factor) {
  values <- Map(function(x, factor) {
    if (factor) base::factor(levels(x), levels(x), ordered = is.ordered(x)) else 1L
  }, frame, is_factor)
  grid <- expand.grid(values, KEEP.OUT.ATTRS = FALSE, stringsAsFactors = FALSE)
  for (name in names(frame)[!is_factor]) {
    x <- as.matrix(frame[[name]])
    means <- matrix(rep(colMeans(x), each = nrow(grid)), nrow(grid),
      dimnames = list(NULL, colnames(x))
    )
    grid[[name]] <- if (is.null(dim(frame[[name]]))) means[, 1L] else means
  }
  grid
}

# Contrasts of all columns as those of the columns kept; NA where the data do not determine them.
estimable_rows <- function(L, null, kept) {
  if (is.null(null)) {
    return(L)
  }
  L <- as_contrasts(L, nrow(null))
  colnames(L) <- rownames(null)
  L[!is_estimable(L, null), ] <- NA_real_
  L[, kept, drop = FALSE]
}

pairs_of_rows <- function(L) {
  if (nrow(L) < 2L) {
    return(L[0L, , drop = FALSE])
  }
  pairs <- utils::combn(nrow(L), 2L)
  D <- L[pairs[1L, ], , drop = FALSE] - L[pairs[2L, ], , drop = FALSE]
  rownames(D) <- paste(rownames(L)[pairs[1L, ]], rownames(L)[pairs[2L, ]], sep = " - ")
  D
}

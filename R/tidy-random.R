# Rows of variance parameters, random effects and coefficients by group.

tidy_ran_pars <- function(fit, scale, prefix, conf, limits) {
  variances <- VarCorr(fit)
  rows <- varcorr_tidy_rows(variances, scale, prefix)
  if (!conf$wanted) {
    return(rows$shown)
  }
  found <- if (inherits(fit, "pp_kernel_fit")) {
    kernel_row_limits(rows, limits, scale)
  } else {
    random_row_limits(fit, rows, limits, scale)
  }
  rows$shown[c("conf.low", "conf.high")] <- as.data.frame(found)
  rows$shown
}

# `shown`: the rows of the table; `cells`: term, row and column of each in the covariance matrices.
varcorr_tidy_rows <- function(variances, scale, prefix) {
  prefix <- check_prefix(prefix, scale)
  table <- as.data.frame(variances, order = "lower.tri")
  if (is.null(table) || !nrow(table)) {
    empty <- data.frame(
      effect = character(), group = character(), term = character(), estimate = numeric()
    )
    return(list(shown = empty, cells = NULL))
  }
  columns <- lapply(variances, rownames)
  term <- match(table$grp, names(columns))
  position <- function(var) {
    unlist(Map(function(t, v) if (is.na(t)) NA_integer_ else match(v, columns[[t]]), term, var))
  }
  row <- ifelse(is.na(table$var2), position(table$var1), position(table$var2))
  covariance <- !is.na(table$var2)
  label <- ifelse(is.na(table$var1), "Observation", table$var1)
  label[covariance] <- paste0(table$var1, ".", table$var2)[covariance]
  list(
    shown = data.frame(
      effect = "ran_pars", group = table$grp, term = paste0(prefix[1L + covariance], "__", label),
      estimate = if (scale == "vcov") table$vcov else table$sdcor
    ),
    cells = data.frame(term = term, row = row, column = position(table$var1))
  )
}

check_prefix <- function(prefix, scale) {
  if (is.null(prefix)) {
    return(if (scale == "vcov") c("var", "cov") else c("sd", "cor"))
  }
  if (!is.character(prefix) || length(prefix) != 2L || anyNA(prefix)) {
    pp_abort("argument", c(
      x = "{.arg ran_prefix} must hold two strings: for standard deviations and correlations.",
      i = "It is {.val {prefix}}."
    ))
  }
  prefix
}

tidy_ran_vals <- function(fit, conf) {
  if (inherits(fit, "pp_kernel_fit")) no_formula("random effects by level")
  rows <- random_value_rows(as.data.frame(ranef.pp_fit(fit)))
  if (conf$wanted) normal_rows(rows, conf$level) else rows
}

random_value_rows <- function(table) {
  rows <- data.frame(
    effect = rep("ran_vals", nrow(table)), group = as.character(table$grpvar),
    level = as.character(table$grp), term = as.character(table$term), estimate = table$condval
  )
  if (!is.null(table$condsd)) rows$std.error <- table$condsd
  rows
}

normal_rows <- function(rows, level) {
  half <- stats::qnorm((1 + level) / 2) * rows$std.error
  rows$conf.low <- rows$estimate - half
  rows$conf.high <- rows$estimate + half
  rows
}

tidy_ran_coefs <- function(fit, conf, exponentiate) {
  if (inherits(fit, "pp_kernel_fit")) no_formula("coefficients by group")
  tables <- unclass(group_coefficients(fit))
  rows <- do.call(rbind, lapply(names(tables), function(group) {
    table <- tables[[group]]
    long <- data.frame(
      effect = "ran_coefs", group = group, level = rep(row.names(table), length(table)),
      term = rep(names(table), each = nrow(table)), estimate = unlist(table, use.names = FALSE)
    )
    if (conf$wanted) long$std.error <- group_coefficient_errors(fit, group, names(table))
    long
  }))
  if (is.null(rows)) {
    return(NULL)
  }
  if (conf$wanted) rows <- normal_rows(rows, conf$level)
  if (exponentiate) exponentiate_rows(rows) else rows
}

# Standard errors of fixed effect plus random effect, column by column, for all levels of a group:
# each is a prediction whose x and z are 1 in that column.
group_coefficient_errors <- function(fit, group, columns) {
  in_group <- vapply(fit$random, function(term) term$group == group, NA)
  m <- length(fit$random[[which(in_group)[1L]]]$levels)
  unlist(lapply(columns, function(column) {
    X <- matrix(0, m, length(fit$coefficients), dimnames = list(NULL, names(fit$coefficients)))
    X[, colnames(X) == column] <- 1
    use <- in_group & vapply(fit$random, function(term) column %in% term$columns, NA)
    z <- lapply(fit$random, function(term) {
      if (is.null(term$z)) {
        return(NULL)
      }
      matrix(as.numeric(term$columns == column), m, length(term$columns), byrow = TRUE)
    })
    codes <- lapply(use, function(used) if (used) seq_len(m) else integer(m))
    sqrt(predicted_variance(fit, list(X = X, codes = codes, z = z, use = use)))
  }))
}

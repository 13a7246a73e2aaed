# Rows of fixed effects: of the mean, of zero inflation and of dispersion.

tidy_fixed <- function(fit, components, conf, limits, ddf, exponentiate) {
  tests <- inference(fit, ddf)
  p <- length(tests$coefficients)
  table <- contrast_table(tests, diag(1, p), conf$level)
  rows <- data.frame(
    effect = rep("fixed", p), term = names(tests$coefficients), table, row.names = NULL
  )
  if (tests$ddf == "none") rows$df <- NULL
  if (!inherits(fit, "pp_kernel_fit") && !is.null(limits)) {
    rows[c("conf.low", "conf.high")] <- limits_named(limits, rows$term, "fixed", fit)
  }
  if (inherits(fit, "pp_kernel_traits")) rows <- rows_by_trait(rows, fit)
  if (has_components(fit)) {
    rows <- cbind(rows, component = rep("cond", nrow(rows)))
    parts <- lapply(setdiff(components, "cond"), function(k) part_rows(fit, k, limits))
    rows <- do.call(rbind, c(list(if ("cond" %in% components) rows), parts))
  }
  if (exponentiate) rows <- exponentiate_rows(rows)
  if (conf$wanted) rows else rows[setdiff(names(rows), c("conf.low", "conf.high"))]
}

part_rows <- function(fit, component, limits) {
  table <- part_table(fit, component)
  rows <- data.frame(
    effect = "fixed", term = rownames(table), estimate = table[, 1L], std.error = table[, 2L],
    statistic = table[, 3L], p.value = table[, 4L], conf.low = NA_real_, conf.high = NA_real_,
    component = component, row.names = NULL
  )
  if (!is.null(limits)) {
    rows[c("conf.low", "conf.high")] <- limits_named(
      limits, paste0(component, ".", rows$term), component, fit
    )
  }
  rows
}

# Limits by name; a fixed effect may be called as another parameter is.
limits_named <- function(limits, names, type, fit) {
  known <- rownames(limits$table)
  if (type == "fixed") {
    random <- all_parameters(fit)
    others <- random$name[random$type %in% c("sd", "cor", "sigma")]
    before <- if (others[1L] %in% known[1L]) length(others) else 0L
    known[seq_len(before)] <- NA
  }
  as.data.frame(limits$table[match(names, known), , drop = FALSE])
}

exponentiate_rows <- function(rows) {
  rows$estimate <- exp(rows$estimate)
  if (!is.null(rows$std.error)) rows$std.error <- rows$estimate * rows$std.error
  for (limit in intersect(c("conf.low", "conf.high"), names(rows))) {
    rows[[limit]] <- exp(rows[[limit]])
  }
  rows
}

# vcov() names a coefficient of several traits by trait and column.
rows_by_trait <- function(rows, fit) {
  traits <- colnames(fit$y)
  columns <- rownames(fit$coefficients)
  rows$response <- rep(traits, each = length(columns))
  rows$term <- rep(columns, length(traits))
  rows
}

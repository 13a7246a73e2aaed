# Estimates of the fixed effects with intervals, as one of the pictures of a fit.

# Without the intercept, which is of another size, unless it stands alone.
effects_picture <- function(fit, level) {
  estimate <- fit$coefficients
  shown <- setdiff(names(estimate), "(Intercept)")
  if (!length(shown)) shown <- names(estimate)
  L <- diag(length(estimate))
  dimnames(L) <- list(names(estimate), names(estimate))
  table <- contrast_table(inference(fit), L[shown, , drop = FALSE], level)
  new_picture("effects", list(list(
    rows = data.frame(
      label = shown, estimate = table$estimate, lower = table$conf.low, upper = table$conf.high
    )[rev(seq_along(shown)), ],
    named = TRUE,
    xlab = effect_label(fit), ylab = "", title = "Fixed effects",
    note = paste0("Estimates with ", format(100 * level), "% intervals")
  )))
}

effect_label <- function(fit) {
  link <- fit$family$link
  if (is.null(link) || link == "identity") "Estimate" else paste0("Estimate (", link, ")")
}

draw_effects <- function(panel, given) {
  rows <- panel$rows
  draw_rows(
    rows$estimate, rows$lower, rows$upper, rows$label, panel$xlab, panel$ylab, panel$title,
    panel$note, given
  )
}

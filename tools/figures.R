# Figures of make demo, with base graphics.

draw_figures <- function(finn, sleep, features, herds, folder) {
  figures <- list(
    "finn-residuals" = function() plot_panels(finn, 1:2, 2),
    "sleepstudy-residuals" = function() plot_panels(sleep, 1:2, 2),
    "sleepstudy-effects" = function() plot_panels(sleep, 3, 2),
    "sleepstudy-lines" = function() plot_lines(sleep),
    "feature-effects" = function() plot_feature_effects(features),
    "cbpp-herds" = function() plot_herds(herds)
  )
  heights <- c(450, 450, 550, 700, 300, 450)
  files <- file.path(folder, paste0(names(figures), ".png"))
  for (i in seq_along(figures)) {
    grDevices::png(files[i], width = 900, height = heights[i], res = 100)
    figures[[i]]()
    grDevices::dev.off()
  }
  files
}

ink <- "#1b3a4b"
accent <- "#c8553d"
faint <- "#9aa5ab"

# Panels side by side of the package's own plots of a fit.
plot_panels <- function(fit, which, panels) {
  old <- graphics::par(mfrow = c(1, panels), mar = c(4, 4, 4, 1), las = 1, bty = "l")
  on.exit(graphics::par(old))
  plot(fit, which = which, col = ink)
}

# Each subject's data with the line of its own regression, the mixed model's, and the population's.
plot_lines <- function(fit) {
  data <- sleepstudy
  own <- split(data, data$Subject)
  shrunken <- coef(fit, "group")$Subject
  population <- fixef(fit)
  old <- graphics::par(mfrow = c(3, 6), mar = c(2, 2.5, 1.5, 1), oma = c(2, 1, 2, 0), las = 1)
  on.exit(graphics::par(old))
  for (subject in names(own)) {
    graphics::plot(
      Reaction ~ Days, own[[subject]], ylim = range(data$Reaction), pch = 19, cex = 0.6, col = ink,
      main = subject, cex.main = 0.9, xlab = "", ylab = "", bty = "l"
    )
    graphics::abline(stats::lm(Reaction ~ Days, own[[subject]]), col = faint, lty = 2)
    graphics::abline(population, col = faint)
    graphics::abline(unlist(shrunken[subject, ]), col = accent, lwd = 2)
  }
  graphics::mtext("Days", 1, outer = TRUE, line = 0.5)
  graphics::mtext(
    "Reaction (ms): own regression (dashed), population (grey), mixed model (red)", 3,
    outer = TRUE, line = 0.3
  )
}

# Effects of the same features with a random effect of the subject and without.
plot_feature_effects <- function(fits) {
  old <- graphics::par(mfrow = c(1, 2))
  on.exit(graphics::par(old))
  plot_effects(fits$grouped, main = "with a random effect of the subject")
  plot_effects(fits$plain, main = "without")
}

# Left the share of cases by period, of each herd and as fitted for a herd of effect zero; right the
# effects of the herds with 95 % intervals.
plot_herds <- function(fit) {
  old <- graphics::par(mfrow = c(1, 2), mar = c(4, 4, 2, 1), las = 1, bty = "l")
  on.exit(graphics::par(old))
  new <- data.frame(period = factor(1:4))
  fitted <- predict(fit, new, re.form = NA, type = "response", interval = "confidence")
  share <- cbpp$incidence / cbpp$size
  beside <- as.integer(cbpp$herd) / nlevels(cbpp$herd) * 0.5 - 0.25
  graphics::plot(
    as.integer(cbpp$period) + beside, share, pch = 19, cex = sqrt(cbpp$size) / 4, col = faint,
    xlim = c(0.5, 4.5), xaxt = "n", xlab = "period", ylab = "share of cases",
    main = "Herds (grey, larger with more animals), average herd", cex.main = 0.9
  )
  graphics::axis(1, 1:4)
  graphics::segments(1:4, fitted[, "lwr"], 1:4, fitted[, "upr"], col = accent, lwd = 2)
  graphics::points(1:4, fitted[, "fit"], pch = 19, col = accent)

  effects <- as.data.frame(ranef(fit))
  effects <- effects[order(effects$condval), ]
  at <- seq_len(nrow(effects))
  half <- stats::qnorm(0.975) * effects$condsd
  graphics::plot(
    effects$condval, at, pch = 19, col = ink, yaxt = "n", ylab = "herd", xlab = "effect (logits)",
    xlim = range(effects$condval - half, effects$condval + half),
    main = "Effects of the herds, 95 % intervals", cex.main = 0.9
  )
  graphics::axis(2, at, effects$grp, cex.axis = 0.7)
  graphics::segments(effects$condval - half, at, effects$condval + half, at, col = ink)
  graphics::abline(v = 0, lty = 3)
}

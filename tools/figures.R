# Figures of make demo and of its report, with base graphics.

draw_figures <- function(finn, sleep, folder) {
  figures <- list(
    "finn-residuals" = function() plot_panels(finn, 1:2, 2),
    "sleepstudy-residuals" = function() plot_panels(sleep, 1:2, 2),
    "sleepstudy-effects" = function() plot_panels(sleep, 3, 2),
    "sleepstudy-lines" = function() plot_lines(sleep)
  )
  heights <- c(450, 450, 550, 700)
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
  old <- graphics::par(mfrow = c(1, panels), mar = c(4, 4, 2, 1), las = 1, bty = "l")
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

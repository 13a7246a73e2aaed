test_that("jtools and interactions predict for the population, as for lme4's fits", {
  skip_if_not_installed("jtools", "2.3.0")
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  twin <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  make <- function(fit) {
    suppressMessages(jtools::make_predictions(fit, pred = "Days", interval = TRUE))
  }
  columns <- c("Reaction", "ymin", "ymax")
  expect_equal(make(fit)[columns], make(twin)[columns], tolerance = 1e-5, ignore_attr = TRUE)
  fit <- glmm(incidence ~ size + (1 | herd), cbpp, poisson)
  population <- predict(fit, data.frame(size = 20), re.form = NA, type = "response")
  ours <- jtools::make_predictions(fit, pred = "size", pred.values = 20, interval = TRUE)
  expect_equal(ours$incidence, population, ignore_attr = TRUE)
})

# The numbers of emmeans for fits of lme4, through emmeans.

numbers <- function(x) {
  x <- suppressMessages(as.data.frame(x))
  unname(as.matrix(x[vapply(x, is.numeric, NA)]))
}

# lme4's optimum to more digits than it has by default.
exactly <- function(formula, data, ...) {
  control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10),
    check.conv.singular = "ignore"
  )
  # The data stand in the call, where emmeans and pbkrtest look for them.
  arguments <- list(formula, data, ..., control = control)
  suppressMessages(suppressWarnings(do.call(lmerTest::lmer, arguments)))
}
exactly_glmer <- function(formula, data, family, ...) {
  control <- lme4::glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
    tolPwrss = 1e-12
  )
  call <- as.call(list(quote(lme4::glmer), formula, quote(data), family, ..., control = control))
  suppressWarnings(eval(call))
}

baking <- function() {
  d <- lme4::cake
  d$batch <- interaction(d$recipe, d$replicate)
  d$degrees <- as.numeric(as.character(d$temperature))
  d$w <- 0.5 + (seq_len(nrow(d)) %% 7) / 4
  d$shift <- sin(seq_len(nrow(d)))
  d
}

pair_of_fits <- function(formula, data = baking(), ...) {
  list(suppressMessages(do.call(lmm, list(formula, data, ...))), exactly(formula, data, ...))
}

expect_same <- function(fits, how, tolerance = 1e-5) {
  ours <- numbers(how(fits[[1L]]))
  theirs <- numbers(how(fits[[2L]]))
  expect_equal(ours, theirs, tolerance = tolerance)
  expect_gt(length(ours), 2L)
}

skip_without_emmeans <- function() {
  skip_if_not_installed("emmeans", "1.8.4")
  skip_if_not_installed("lme4")
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
}

test_that("means, contrasts, joint tests with every method of degrees of freedom", {
  skip_without_emmeans()
  data <- droplevels(subset(baking(), as.integer(replicate) <= 6))
  fits <- pair_of_fits(angle ~ recipe * temperature + (1 | batch), data)
  for (mode in c("satterthwaite", "kenward-roger", "asymptotic")) {
    expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe, lmer.df = mode))
    expect_same(fits, function(fit) {
      pairs(suppressMessages(emmeans::emmeans(fit, ~ recipe | temperature, mode = mode)))
    })
  }
  expect_same(fits, function(fit) emmeans::joint_tests(fit))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe, submodel = "minimal"))
  expect_same(fits, function(fit) {
    emmeans::mvcontrast(emmeans::emmeans(fit, ~ recipe * temperature), "consec",
      mult.name = "temperature"
    )
  })
  grid <- suppressMessages(emmeans::emmeans(fits[[1L]], ~recipe))
  expect_match(emmeans::get_emm_option("lmer.df"), "kenward-roger")
  expect_match(attr(grid@dffun, "mesg"), "kenward-roger")
})

test_that("contrasts are those of linear_hypothesis()", {
  skip_without_emmeans()
  fit <- lmm(angle ~ recipe * temperature + (1 | batch), baking())
  for (ddf in c("satterthwaite", "kenward-roger", "residual")) {
    grid <- suppressMessages(emmeans::emmeans(fit, ~recipe, ddf = ddf))
    contrasts <- pairs(grid, adjust = "none")
    ours <- linear_hypothesis(fit, contrasts@linfct, ddf = ddf)
    columns <- c("estimate", "std.error", "df", "statistic", "p.value")
    expect_equal(unname(as.matrix(ours[columns])), numbers(contrasts), tolerance = 1e-10)
    joint <- emmeans::test(contrasts, joint = TRUE)
    if (ddf == "residual") {
      expect_equal(joint$F.ratio, attr(ours, "joint")$statistic, tolerance = 1e-3)
    }
  }
})

test_that("functions of predictors and of the response", {
  skip_without_emmeans()
  fits <- pair_of_fits(log(angle) ~ recipe * splines::ns(degrees, 3) + (1 | batch))
  # lme4 looks the data up again; they are given to it.
  means <- function(fit, ...) emmeans::emmeans(fit, ~recipe, data = baking(), ...)
  expect_same(fits, function(fit) means(fit, type = "response"))
  expect_same(fits, function(fit) means(fit, type = "response", bias.adjust = TRUE))
  expect_same(fits, function(fit) pairs(emmeans::regrid(means(fit))))
  fits <- pair_of_fits(sqrt(angle) ~ recipe * poly(degrees, 2) + (1 | batch))
  expect_same(fits, function(fit) means(fit, at = list(degrees = 200), type = "response"))
  expect_same(fits, function(fit) {
    emmeans::emtrends(fit, ~recipe, var = "degrees", data = baking())
  })
})

test_that("the data are those of the fit, whatever became of them", {
  skip_without_emmeans()
  make <- function() {
    gone <- baking()
    gone$angle[c(3, 50)] <- NA
    gone$degrees[9] <- NA
    lmm(log(angle) ~ recipe * log(degrees) + (1 | batch), gone, subset = degrees > 176,
        na.action = na.exclude)
  }
  fit <- make()
  d <- baking()
  d$angle[c(3, 50)] <- NA
  d$degrees[9] <- NA
  again <- exactly(log(angle) ~ recipe * log(degrees) + (1 | batch), d[which(d$degrees > 176), ])
  used <- stats::na.omit(d[which(d$degrees > 176), ])
  theirs <- emmeans::emmeans(again, ~recipe, data = used)
  expect_equal(numbers(emmeans::emmeans(fit, ~recipe)), numbers(theirs), tolerance = 1e-5)
  fit$inner <- NULL
  expect_error(emmeans::emmeans(fit, ~recipe), "does not store the variable 'degrees'")
  expect_equal(numbers(emmeans::emmeans(fit, ~recipe, data = used)), numbers(theirs),
               tolerance = 1e-5)
})

test_that("offsets, weights, no intercept, a matrix of features, no random effects", {
  skip_without_emmeans()
  d <- baking()
  fits <- pair_of_fits(angle ~ recipe + offset(shift) + (1 | batch))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe))
  expect_same(
    pair_of_fits(angle ~ recipe + (1 | batch), offset = d$shift),
    function(fit) emmeans::emmeans(fit, ~recipe)
  )
  fits <- pair_of_fits(angle ~ 0 + recipe + temperature + (1 | batch), weights = d$w)
  # pbkrtest leaves prior weights out of its covariances; lmerTest does not.
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe, lmer.df = "satterthwaite"))
  expect_equal(sum(emmeans::ref_grid(fits[[1L]])@grid$.wgt.), sum(d$w))
  days <- lmm(cbind(day = sleepstudy$Days), sleepstudy$Reaction, sleepstudy$Subject,
    varnames = c("day of study", "who", "reaction time")
  )
  formula_fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_equal(
    numbers(emmeans::ref_grid(days, at = list("day of study" = 0:3)))[, -1L],
    numbers(emmeans::ref_grid(formula_fit, at = list(Days = 0:3)))[, -1L]
  )
  plain <- suppressMessages(lmm(angle ~ recipe, d))
  expect_equal(
    numbers(emmeans::emmeans(plain, ~recipe)),
    numbers(emmeans::emmeans(stats::lm(angle ~ recipe, d), ~recipe))
  )
})

test_that("what the data do not determine is not estimable; nested factors", {
  skip_without_emmeans()
  d <- baking()
  d <- d[!(d$recipe == "A" & d$temperature == "175"), ]
  fits <- suppressMessages(pair_of_fits(angle ~ recipe * temperature + (1 | batch), d))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~ recipe * temperature))
  expect_same(fits, function(fit) emmeans::joint_tests(fit))
  expect_true(is.na(numbers(emmeans::emmeans(fits[[1L]], ~recipe))[1L, 1L]))
  V <- diag(length(fits[[1L]]$coefficients))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~temperature, vcov. = V))
  d <- baking()
  d$oven <- interaction(d$recipe, as.integer(d$replicate) %% 2)
  fits <- suppressMessages(pair_of_fits(angle ~ recipe + oven + (1 | batch), d))
  expect_same(fits, function(fit) emmeans::emmeans(fit, ~recipe))
})

test_that("maximum likelihood: standard errors and df are those of Kenward and Roger by REML", {
  skip_without_emmeans()
  d <- baking()
  ml <- lmm(angle ~ recipe + (1 | batch), d, REML = FALSE)
  means <- as.data.frame(emmeans::emmeans(ml, ~recipe))
  restricted <- as.data.frame(emmeans::emmeans(update(ml, REML = TRUE), ~recipe))
  expect_equal(means[c("SE", "df")], restricted[c("SE", "df")], tolerance = 1e-6)
  theirs <- as.data.frame(emmeans::emmeans(exactly(angle ~ recipe + (1 | batch), d, REML = FALSE),
                                           ~recipe))
  expect_equal(means$SE, theirs$SE, tolerance = 1e-5)
  # Where the method cannot be used, one that can.
  expect_message(
    withr::with_options(list(emmeans = list(pbkrtest.limit = 100)), emmeans::emmeans(ml, ~recipe)),
    "Satterthwaite"
  )
  robust <- function(fit) vcov(fit, type = "sandwich")
  expect_message(grid <- emmeans::emmeans(ml, ~recipe, vcov. = robust), "user-supplied")
  L <- cbind(1, c(0, 1, 0), c(0, 0, 1))
  expect_equal(numbers(grid)[, 2L], unname(sqrt(diag(L %*% robust(ml) %*% t(L)))))
})

test_that("generalised models", {
  skip_without_emmeans()
  d <- cbpp
  d$x <- sin(seq_len(nrow(d)))
  d$share <- d$incidence / d$size
  formula <- cbind(incidence, size - incidence) ~ period * x + (1 | herd)
  fits <- list(glmm(formula, d, binomial), exactly_glmer(formula, d, "binomial"))
  means <- function(fit, ...) {
    suppressMessages(emmeans::emmeans(fit, ~period, data = d, ...))
  }
  # lme4's covariance is a Hessian by finite differences: four digits.
  expect_same(fits, function(fit) means(fit, type = "response"), 1e-4)
  expect_same(fits, function(fit) pairs(means(fit, regrid = "response")), 1e-4)
  expect_same(fits, function(fit) means(fit, type = "response", bias.adjust = TRUE, sigma = 0.6),
              1e-4)
  expect_same(fits, function(fit) emmeans::emtrends(fit, ~period, var = "x", data = d), 1e-4)
  expect_same(fits, function(fit) emmeans::joint_tests(fit, data = d), 1e-4)
  fits <- list(
    glmm(share ~ period + offset(x) + (1 | herd), d, binomial, weights = d$size),
    exactly_glmer(share ~ period + offset(x) + (1 | herd), d, "binomial", weights = d$size)
  )
  expect_same(fits, function(fit) means(fit), 1e-4)
  # By default there is no data to give: the same numbers.
  expect_equal(numbers(emmeans::emmeans(fits[[1L]], ~period)), numbers(means(fits[[1L]])))
})

test_that("zero inflation and dispersion", {
  skip_if_not_installed("emmeans", "1.8.4")
  skip_if_not_installed("glmmTMB")
  d <- glmmTMB::Salamanders
  fits <- list(
    glmm(count ~ spp + mined + (1 | site), d, poisson, ziformula = ~mined),
    glmmTMB::glmmTMB(count ~ spp + mined + (1 | site), ~mined, data = d, family = stats::poisson)
  )
  for (component in c("cond", "zi")) {
    # glmmTMB has residual degrees of freedom for counts in some releases; they are infinite.
    # glmmTMB hands the contrasts of all factors to each part, with a warning.
    means <- function(fit) {
      emmeans::emmeans(fit, ~mined, component = component, df = Inf, type = "response", data = d)
    }
    expect_same(fits, function(fit) suppressWarnings(means(fit)), 3e-4)
  }
  response <- emmeans::emmeans(fits[[1L]], ~ mined | spp, component = "response")
  new <- expand.grid(mined = levels(d$mined), spp = levels(d$spp))
  predicted <- predict(fits[[1L]], new, re.form = NA, type = "response", se.fit = TRUE)
  expect_equal(numbers(response)[, 1L], unname(predicted$fit))
  expect_equal(numbers(response)[, 2L], unname(predicted$se.fit), tolerance = 1e-6)
  spread <- glmm(count ~ spp + mined + (1 | site), d, nbinom2(), dispformula = ~mined)
  phi <- numbers(emmeans::emmeans(spread, ~mined, component = "disp", type = "response"))
  expect_equal(phi[, 1L], unname(exp(cbind(1, 0:1) %*% fixef(spread, component = "disp"))[, 1L]))
  said <- capture.output(type = "message", {
    expect_error(emmeans::emmeans(spread, ~mined, component = "zi"))
  })
  expect_match(said, "no zero-inflation model", all = FALSE)
})

test_that("kernels: of grouping factors as any fit, of matrices not without a formula", {
  skip_if_not_installed("emmeans", "1.8.4")
  K <- exp(-as.matrix(dist(1:18)) / 3)
  dimnames(K) <- list(levels(sleepstudy$Subject), levels(sleepstudy$Subject))
  fit <- lmm(Reaction ~ factor(Days) + (1 | Subject), sleepstudy, kernel = list(Subject = K))
  ours <- linear_hypothesis(fit, diag(10L)[1L, , drop = FALSE], ddf = "satterthwaite")
  means <- as.data.frame(emmeans::emmeans(fit, ~Days, mode = "satterthwaite"))
  expect_equal(unlist(means[1L, c("emmean", "SE", "df")], use.names = FALSE),
               unlist(ours[c("estimate", "std.error", "df")], use.names = FALSE))
  features <- suppressMessages(kernel_lmm(sleepstudy$Reaction[1:18], cbind(1, x = 1:18), K))
  expect_error(emmeans::emmeans(features, ~x), "linear_hypothesis")
})

test_that("coefficients that run to infinity have no means", {
  skip_if_not_installed("emmeans", "1.8.4")
  d <- data.frame(y = c(0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1), a = gl(3, 4), g = gl(4, 1, 12))
  fit <- suppressMessages(suppressWarnings(glmm(y ~ a + (1 | g), d, binomial)))
  expect_true(is.na(numbers(emmeans::emmeans(fit, ~a))[1L, 1L]))
})

set.seed(11)
d <- transform(
  sleepstudy,
  f = factor(rep(c("b", "a", "c"), 60)), ch = rep(c("z", "x", "y", "w"), 45), late = Days > 4,
  o = factor(rep(1:5, 36), ordered = TRUE), date = as.Date("2020-01-01") + Days,
  id = as.integer(Subject) * 1000L, real = as.integer(Subject) / 7,
  wide = factor(Subject, levels = c("never", levels(Subject))), w = 1 + Days %% 3
)
d$`a b` <- d$Days
d$`g 1` <- d$Subject

# X, response, grouping factors, columns and their order are those of lme4. `||` is the exception:
# one term here, one a column there.
expect_lme4_design <- function(formula, data, ...) {
  loose <- lme4::lmerControl(
    check.rankX = "ignore", check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore",
    check.scaleX = "ignore"
  )
  theirs <- suppressWarnings(suppressMessages(
    lme4::lFormula(formula, data, control = loose, ...)
  ))
  ours <- suppressWarnings(suppressMessages(design(formula, data, ...)))
  info <- label_of(formula)
  expect_equal(ours$X, theirs$X, tolerance = 1e-14, info = info, ignore_attr = "msgScaleX")
  expect_equal(
    ours$y, as.vector(stats::model.response(theirs$fr)), ignore_attr = TRUE, info = info
  )
  groups <- theirs$reTrms$flist
  assign <- attr(groups, "assign")
  expect_identical(
    vapply(ours$random, `[[`, "", "group"), names(groups)[assign], info = info
  )
  for (k in seq_along(ours$random)) {
    term <- ours$random[[k]]
    group <- groups[[assign[k]]]
    expect_identical(term$levels, levels(group), info = info)
    expect_identical(term$codes, as.integer(group), info = info)
    expect_identical(term$columns, theirs$reTrms$cnms[[k]], info = info)
    expect_equal(
      as.matrix(theirs$reTrms$Ztlist[[k]]), dense_zt(term), ignore_attr = TRUE, info = info,
      tolerance = 1e-14
    )
  }
}

dense_zt <- function(term) {
  n <- length(term$codes)
  p <- length(term$columns)
  z <- if (is.null(term$z)) matrix(1, n, 1L) else term$z
  zt <- matrix(0, p * length(term$levels), n)
  for (k in seq_len(p)) {
    zt[cbind((term$codes - 1L) * p + k, seq_len(n))] <- z[, k]
  }
  zt
}

test_that("the sleepstudy design has the shapes of its model (SEEDS 52)", {
  x <- design(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_s3_class(x, "pp_design")
  expect_identical(dim(x$X), c(180L, 2L))
  expect_equal(unname(x$X[3, ]), c(1, 2))
  term <- x$random[[1]]
  expect_identical(dim(term$z), c(180L, 2L))
  expect_identical(length(term$levels) * length(term$columns), 36L)
  expect_equal(sum(term$z), 990)
  expect_identical(term$name, "Subject")
  expect_identical(term$expr, quote(Days | Subject))
  expect_identical(term$group_expr, quote(Subject))
  expect_null(x$weights)
  expect_null(x$offset)
  expect_null(x$na.action)
  expect_identical(x$dropped_weights, 0L)
  expect_output(print(x), "180 rows, 2 fixed-effects columns")
})

test_that("the reference models have lme4's design", {
  skip_if_not_installed("lme4")
  skip_if_not_installed("jsonlite")
  skip_if_not_installed("mlmRev")
  models <- jsonlite::fromJSON(test_path("fixtures", "lmm.json"), simplifyVector = FALSE)$models
  seen <- character()
  df <- function(x) structure(as.data.frame(x), class = "data.frame")
  for (model in models) {
    key <- paste(model$data, model$formula)
    if (key %in% seen || grepl("devdata|InstEval|mlmRev::star|[|][|]", key)) {
      next
    }
    seen <- c(seen, key)
    data <- eval(parse(text = gsub(" {4}", "\n", model$data)))
    expect_lme4_design(stats::as.formula(model$formula), as.data.frame(data))
  }
  expect_gt(length(seen), 25L)
})

test_that("formulas of every kind have lme4's design", {
  skip_if_not_installed("lme4")
  for (formula in list(
    Reaction ~ f * Days + (f | Subject), Reaction ~ ch + late + (ch | Subject) + (late | Subject),
    Reaction ~ o + (o | Subject), Reaction ~ Days + (1 | date), Reaction ~ (1 | id) + (Days | f),
    Reaction ~ (1 | real), Reaction ~ (1 | late), Reaction ~ `a b` + (`a b` | `g 1`),
    Reaction ~ (0 + f | Subject), Reaction ~ Days + (Days | wide), log(Reaction) ~ (1 | ch:f),
    Reaction ~ poly(Days, 2) + (poly(Days, 2) | Subject),
    Reaction ~ splines::ns(Days, 3) + (1 | Subject),
    Reaction ~ I(Days^2) + (I(Days^2) | Subject), Reaction ~ (1 | f / ch),
    Reaction ~ (1 | f:ch:late), Reaction ~ (1 | f) + (1 | ch) + (1 | Subject),
    Reaction ~ (1 | f) + (0 + Days | f) + (1 | Subject), Reaction ~ Days * f + (Days * f | ch),
    Reaction ~ 0 + (1 | Subject), Reaction ~ 1 + offset(Days) + (1 | Subject),
    Reaction ~ f:Days + (f:Days | ch), Reaction ~ (Days - 1 | Subject) + Days,
    scale(Reaction) ~ scale(Days) + (scale(Days) | Subject), Reaction ~ (1 | id:real),
    Reaction ~ (1 | `g 1`:f), Reaction ~ late * f + (late:f | ch), Reaction ~ f - 1 + (1 | ch)
  )) {
    expect_lme4_design(formula, d)
  }
})

test_that("`.` is expanded from the data as in lme4", {
  skip_if_not_installed("lme4")
  small <- d[c("Reaction", "Days", "f", "Subject")]
  expect_lme4_design(Reaction ~ . - Subject + (1 | Subject), small)
  expect_lme4_design(Reaction ~ . + (1 | Subject), small)
  x <- suppressWarnings(design(Reaction ~ . + (1 | Subject), small))
  expect_equal(x$formula, Reaction ~ Days + f + Subject + (1 | Subject), ignore_attr = TRUE)
  expect_error(design(Reaction ~ . + (1 | Subject)), class = "partialpool_error_formula")
})

test_that("contrasts are those of the argument, of the factor, of the options", {
  skip_if_not_installed("lme4")
  expect_lme4_design(Reaction ~ f + (f | Subject), d, contrasts = list(f = "contr.helmert"))
  own <- d
  contrasts(own$f) <- stats::contr.sum(3)
  expect_lme4_design(Reaction ~ f + (f | Subject), own)
  x <- design(Reaction ~ f + ch + (1 | Subject), d, contrasts = list(f = contr.sum))
  expect_identical(colnames(x$X)[2:3], c("f1", "f2"))
  expect_identical(x$xlevels, list(f = c("a", "b", "c"), ch = c("w", "x", "y", "z")))
})

test_that("rows go by subset and na.action as in lme4", {
  skip_if_not_installed("lme4")
  holes <- d
  holes$Reaction[3] <- NA
  holes$Days[50] <- NaN
  holes$Subject[101] <- NA
  expect_lme4_design(Reaction ~ Days + (Days | Subject), holes)
  x <- design(Reaction ~ Days + (1 | Subject), holes, subset = f != "a", na.action = na.exclude)
  expect_s3_class(x$na.action, "exclude")
  expect_identical(length(x$y) + length(x$na.action), sum(d$f != "a"))
  expect_false("a" %in% levels(design(Reaction ~ f + (1 | Subject), d, subset = f != "a")$frame$f))
  expect_identical(length(design(Reaction ~ (1 | Subject), d, subset = 1:40)$y), 40L)
})

test_that("arguments are evaluated in data, formula's environment, then the caller's", {
  k <- 2
  expect_equal(design(Reaction ~ (1 | Subject), d, weights = w * k)$weights, d$w * 2)
  inner <- function(formula) {
    v <- d$w
    design(formula, d, weights = v, subset = v > 1)
  }
  expect_equal(inner(Reaction ~ (1 | Subject))$weights, d$w[d$w > 1])
  pass <- function(...) design(...)
  expect_equal(pass(Reaction ~ (1 | Subject), d, offset = Days)$offset, d$Days)
  expect_equal(
    unname(design("Reaction ~ I(Days * k) + (1 | Subject)", d)$X[, 2]), k * d$Days
  )
})

test_that("data may be a list, tibble, matrix, environment or nothing", {
  reference <- design(Reaction ~ Days + (1 | Subject), sleepstudy)
  same <- function(x) {
    expect_equal(x$X, reference$X, ignore_attr = TRUE)
    expect_identical(x$random[[1]]$codes, reference$random[[1]]$codes)
  }
  same(design(Reaction ~ Days + (1 | Subject), as.list(sleepstudy)))
  same(design(Reaction ~ Days + (1 | Subject), list2env(sleepstudy)))
  same(with(sleepstudy, design(Reaction ~ Days + (1 | Subject))))
  same(design(Reaction ~ Days + (1 | Subject), data.matrix(sleepstudy)))
  tibble <- structure(sleepstudy, class = c("tbl_df", "tbl", "data.frame"))
  same(design(Reaction ~ Days + (1 | Subject), tibble))
})

test_that("offsets are summed, a single one is repeated", {
  x <- design(Reaction ~ Days + offset(2 * Days) + (1 | Subject), d, offset = w)
  expect_equal(x$offset, 2 * d$Days + d$w)
  expect_equal(x$y, d$Reaction)
  expect_equal(design(Reaction ~ (1 | Subject), d, offset = 3)$offset, rep(3, 180))
})

test_that("rows of zero weight are dropped before na.action, counted and reported", {
  holes <- d
  holes$Reaction[2] <- NA
  expect_message(
    x <- design(Reaction ~ (1 | Subject), holes, weights = Days, na.action = na.exclude),
    "18 rows", class = "partialpool_message_weights"
  )
  expect_identical(x$dropped_weights, 18L)
  expect_identical(length(x$y), 161L)
  expect_true(all(x$weights > 0))
  expect_length(stats::naresid(x$na.action, x$y), 162L)
  expect_message(
    design(Reaction ~ (1 | Subject), d, weights = Days, subset = Subject != "308"), "17 rows"
  )
})

test_that("group ids of any type give the same groups (SEEDS 82)", {
  subject <- as.integer(d$Subject)
  for (ids in list(subject, subject * 1.5, letters[subject], factor(subject), as.list(subject))) {
    data <- list(Reaction = d$Reaction, ids = unlist(ids))
    expect_identical(design(Reaction ~ (1 | ids), data)$random[[1]]$codes, subject)
  }
})

test_that("names with blanks, dashes and symbols are kept (SEEDS 81)", {
  odd <- stats::setNames(sleepstudy, c("pitch (Hz)", "a-b", "Subject ID"))
  x <- design(`pitch (Hz)` ~ `a-b` + (`a-b` | `Subject ID`), odd)
  expect_identical(names(x$frame), names(odd))
  expect_identical(colnames(x$X), c("(Intercept)", "`a-b`"))
  expect_identical(x$random[[1]]$group, "Subject ID")
})

test_that("nothing else changes, also when the call fails (SEEDS 26)", {
  before <- d
  objects <- ls(globalenv(), all.names = TRUE)
  design(Reaction ~ poly(Days, 2) + ch + (Days | Subject), d)
  expect_error(design(Reaction ~ Days + (1 | nosuch), d))
  expect_identical(d, before)
  expect_identical(ls(globalenv(), all.names = TRUE), objects)
})

test_that("covariance structures reach the terms", {
  term <- function(f) suppressMessages(design(f, d))$random[[1]]
  diagonal <- term(Reaction ~ Days + (Days || Subject))
  expect_identical(diagonal$structure, "diag")
  expect_identical(diagonal$columns, c("(Intercept)", "Days"))
  factors <- term(Reaction ~ (f || Subject))
  expect_identical(factors$columns, c("(Intercept)", "fb", "fc"))
  expect_message(
    design(Reaction ~ (f || Subject) + (f || ch), d), class = "partialpool_message_random"
  )
  expect_true(term(Reaction ~ cs(0 + f | Subject, hom = TRUE))$hom)
  expect_identical(term(Reaction ~ cs(1 | Subject))$structure, "us")
  expect_identical(term(Reaction ~ homdiag(Days | Subject))$hom, TRUE)
})

test_that("ar1 keeps the unused levels of time, the rest of the model does not", {
  gap <- transform(d[d$Days %in% c(0:4, 7:9), ], time = factor(Days, levels = 0:9))
  x <- design(Reaction ~ time + ar1(0 + time | Subject), gap)
  expect_identical(x$random[[1]]$columns, paste0("time", 0:9))
  expect_equal(sum(x$random[[1]]$z), nrow(gap))
  expect_identical(ncol(x$X), 8L)
  expect_identical(nlevels(x$frame$time), 8L)
  expect_warning(
    design(Reaction ~ ar1(time | Subject), gap), "contrasts", class = "partialpool_warning_random"
  )
})

test_that("terms on one factor have names of their own", {
  x <- design(Reaction ~ (1 | Subject) + (0 + Days | Subject), d)
  expect_identical(vapply(x$random, `[[`, "", "name"), c("Subject", "Subject.1"))
})

test_that("terms hold what safe prediction needs", {
  x <- design(Reaction ~ poly(Days, 2) + (splines::ns(Days, 2) | Subject), d)
  new <- stats::model.frame(stats::delete.response(x$terms), data.frame(Days = c(0, 20)))
  expect_equal(
    stats::model.matrix(stats::delete.response(x$terms), new)[1, ], x$X[1, ]
  )
  z_frame <- stats::model.frame(x$random[[1]]$z_terms, data.frame(Days = c(0, 20)))
  expect_equal(
    stats::model.matrix(x$random[[1]]$z_terms, z_frame)[1, ], x$random[[1]]$z[1, ]
  )
  expect_identical(attr(x$terms, "dataClasses")[["Reaction"]], "numeric")
})

test_that("a formula without bars has no random terms", {
  x <- design(Reaction ~ Days, d)
  expect_identical(x$random, list())
  expect_equal(x$X, stats::model.matrix(Reaction ~ Days, d))
})

test_that("advice can be turned off, errors cannot", {
  quiet <- function(formula) {
    design_from_call(call("lmm", formula = formula, data = quote(d)), environment(), check = FALSE)
  }
  expect_silent(quiet(Reaction ~ Subject + (1 | Subject)))
  expect_silent(quiet(Reaction ~ (f || Subject)))
  expect_error(quiet(Reaction ~ (0 | Subject)), class = "partialpool_error_random")
})

test_that("a grouping factor that is a fixed effect is reported, others are not", {
  aliased <- "partialpool_warning_identifiability"
  d$region <- factor(as.integer(d$Subject) %% 3)
  expect_warning(design(Reaction ~ Subject + (1 | Subject), d), "Subject", class = aliased)
  expect_warning(design(Reaction ~ Days * Subject + (Days | Subject), d), class = aliased)
  expect_warning(design(Reaction ~ Days:Subject + (0 + Days | Subject), d), class = aliased)
  expect_warning(design(Reaction ~ Subject + (1 | region), d), "region", class = aliased)
  expect_warning(design(Reaction ~ f:ch + (1 | f:ch), d), class = aliased)
  expect_warning(design(Reaction ~ `g 1` + (1 | `g 1`), d), "g 1", class = aliased)
  expect_silent(design(Reaction ~ region + (1 | Subject), d))
  expect_silent(design(Reaction ~ f + ch + (1 | f:ch), d))
  expect_silent(design(Reaction ~ Days:Subject + (1 | Subject), d))
  expect_silent(design(Reaction ~ id + (1 | id), d))
})

test_that("columns that two terms share on the same groups are reported", {
  shared <- "partialpool_warning_identifiability"
  expect_warning(design(Reaction ~ (1 | Subject) + (1 | Subject), d), class = shared)
  expect_warning(design(Reaction ~ (1 | Subject) + (Days | id), d), "id", class = shared)
  expect_silent(design(Reaction ~ (1 | Subject) + (0 + Days | Subject), d))
  expect_silent(design(Reaction ~ (1 | f) + (1 | late), d))
})
